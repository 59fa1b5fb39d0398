/** Quantizers and packings of weights, on bytes: each function here is the definition of one. */
export {
  absmeanTernarize,
  type QuantizedActivation,
  quantizeActivation,
  roundHalfEven,
  type Ternarized,
} from "./absmean.ts";
export { type DequantizableDType, dequantizeBlocks } from "./dequantize.ts";
export { packHfTernary, unpackHfTernary } from "./hf-ternary.ts";
export { decodeI2_S, encodeI2_S, type I2sLayout } from "./i2-s.ts";
export { type Nibble4, packNibble4 } from "./nibble4.ts";
export {
  choosePacking,
  type MatrixShape,
  type PackingReport,
  packMatrix,
  unpackMatrix,
} from "./packings.ts";
export { packTile2, tile2Bytes, tile2Columns, tile2Rows, unpackTile2 } from "./tile2.ts";
export { packTile3, tile3Bytes, tile3Columns, tile3Rows, unpackTile3 } from "./tile3.ts";
export {
  decodeTq1_0,
  decodeTq2_0,
  encodeTq1_0,
  encodeTq2_0,
  type TernaryBlocks,
} from "./tq-blocks.ts";
