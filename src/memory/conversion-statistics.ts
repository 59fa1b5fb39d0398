/** What a conversion did: amounts, time, and, where it was measured, what it lost. */

/** Differences between the values of the results and of their sources. */
export interface ConversionLoss {
  largestError: number;
  /** Over all elements; one that is not finite before or after counts as 0. */
  meanError: number;
  /** Clipped to the bound of an integer, or finite before and infinite after. */
  saturated: number;
  /** Not a number before; an integer of such a one stands for 0. */
  nans: number;
}

export interface ConversionStatistics {
  elements: number;
  /** Zero where nothing had to be copied. */
  bytesRead: number;
  bytesWritten: number;
  milliseconds: number;
  /** Null where it was not measured. */
  loss: ConversionLoss | null;
}

/** Counts one conversion, or several together. */
export class ConversionTally {
  /** As the core adds to it: sum and largest of the errors, clipped, not numbers. */
  readonly sums: Float64Array | undefined;
  elements = 0;
  bytesRead = 0;
  bytesWritten = 0;
  readonly #start = performance.now();

  constructor(measure: boolean) {
    this.sums = measure ? new Float64Array(4) : undefined;
  }

  statistics(): ConversionStatistics {
    const { elements, bytesRead, bytesWritten } = this;
    const milliseconds = performance.now() - this.#start;
    return { elements, bytesRead, bytesWritten, milliseconds, loss: this.#loss() };
  }

  #loss(): ConversionLoss | null {
    if (!this.sums) return null;
    const [sum, largestError, saturated, nans] = this.sums as unknown as [
      number,
      number,
      number,
      number,
    ];
    return { largestError, meanError: this.elements ? sum / this.elements : 0, saturated, nans };
  }
}
