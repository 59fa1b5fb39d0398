/** The parts that models are made of, as recordings on a graph. */
export {
  type AttentionInput,
  attend,
  type CacheShape,
  cacheOfLayer,
  cachePages,
  cacheSize,
  type Places,
} from "./attention.ts";
export { type Norm, type Projection, project, rmsNorm } from "./projection.ts";
export { type Llama3Scaling, type RopeSettings, ropeFrequencies } from "./rope.ts";
