/**
 * Rotary position embedding: the angle of pair i at position p is p * f[i], with
 * f[i] = theta^(-2i / width), scaled for long contexts as Llama 3 does.
 * Source: Su et al., "RoFormer", 2021; the Llama 3.1 model card's reference code for the scaling.
 */

export interface Llama3Scaling {
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  originalContext: number;
}

export interface RopeSettings {
  theta: number;
  /** Divides every frequency. */
  linearFactor?: number;
  llama3?: Llama3Scaling;
}

/** Frequencies of the pairs, f32 (width / 2), computed in f32 as the reference does. */
export function ropeFrequencies(settings: RopeSettings, width: number): Float32Array {
  const frequencies = new Float32Array(width / 2);
  for (let pair = 0; pair < frequencies.length; pair += 1) {
    const exponent = Math.fround((2 * pair) / width);
    const power = Math.fround(settings.theta ** exponent);
    frequencies[pair] = scaled(Math.fround(1 / power), settings);
  }
  return frequencies;
}

function scaled(frequency: number, { linearFactor, llama3 }: RopeSettings): number {
  if (linearFactor) return Math.fround(frequency / linearFactor);
  if (!llama3) return frequency;
  const { factor, lowFreqFactor, highFreqFactor, originalContext } = llama3;
  const wavelength = Math.fround((2 * Math.PI) / frequency);
  if (wavelength > originalContext / lowFreqFactor) return Math.fround(frequency / factor);
  if (wavelength < originalContext / highFreqFactor) return frequency;
  const smooth = Math.fround(
    (originalContext / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor),
  );
  const slow = Math.fround((Math.fround(1 - smooth) * frequency) / factor);
  return Math.fround(slow + Math.fround(smooth * frequency));
}
