/** Ten times the mutants of test/native/mutation.test.ts, of more models; half the valid run. */
import { expect, test } from "bun:test";
import { Random } from "../checkpoint/random.ts";
import { campaign } from "../native/mutants.ts";
import { modelParents, smallParents } from "../native/parents.ts";

const isLong = process.env.BITNET_LONG === "1";

test.skipIf(!isLong)(
  "1,000,000 mutants of every op and of models: valid or refused, never a crash",
  async () => {
    const small = smallParents();
    const models = [
      ...(await modelParents("bitnet-2b4t-packed")),
      ...(await modelParents("llama-rmsnorm-packed")),
      ...(await modelParents("1bitllm-3b")),
    ];
    let count = 0;
    for (let seed = 100; seed < 110; seed += 1) {
      const ops = { count: 60_000, random: new Random(seed), runs: 10_000 };
      const programs = { count: 40_000, random: new Random(seed + 1000), runs: 0 };
      for (const outcome of [await campaign(small, ops), await campaign(models, programs)]) {
        expect(outcome.valid).toBeGreaterThan(1000);
        expect(outcome.refused).toBeGreaterThan(10_000);
        count += outcome.valid + outcome.refused;
      }
    }
    expect(count).toBe(1_000_000);
  },
  900_000,
);
