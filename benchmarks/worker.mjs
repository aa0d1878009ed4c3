// transformers.js in a process of its own: node --expose-gc worker.mjs FOLDER THREADS.
//
// Speaks the protocol of worker.py: reads a JSON command a line and answers each with a JSON line.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";

const PACKAGE = "@huggingface/transformers";
const WARM_UP = 8;

async function main(folder, threads) {
  const answer = privateStdout();
  const start = performance.now();
  const { embed, version } = await load(resolve(folder), threads);
  const loadMs = performance.now() - start;
  const versions = { node: process.versions.node, [PACKAGE]: version };
  answer({ load_ms: loadMs, versions, ...memory() });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      answer(await obey(embed, JSON.parse(line)));
    } catch (error) {
      answer({ error: `${error?.name}: ${error?.message ?? error}` });
    }
  }
}

/** Keep stdout for answers; what libraries print there goes to stderr. */
function privateStdout() {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr);
  return (value) => write(JSON.stringify(value) + "\n");
}

/** Load the model; gives embed(texts, batch), whose rows are in the caller's order. */
async function load(folder, threads) {
  // The interpreter lies in the environment whose lib has the packages; this file does not.
  const find = createRequire(process.execPath).resolve;
  const { env, pipeline } = await import(find(PACKAGE));
  env.allowRemoteModels = false;
  const extract = await pipeline("feature-extraction", folder, {
    device: "cpu",
    dtype: "q8",
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  const width = extract.model.config.hidden_size;

  async function embed(texts, batch) {
    const size = batch ?? 1;
    const vectors = new Float32Array(texts.length * width);
    // It sorts nothing itself, and pads a batch to its longest text.
    const order = [...texts.keys()].sort((a, b) => texts[b].length - texts[a].length);
    for (let first = 0; first < order.length; first += size) {
      const positions = order.slice(first, first + size);
      const inputs = positions.map((position) => texts[position]);
      const { data } = await extract(inputs, { pooling: "mean", normalize: true });
      positions.forEach((position, row) => {
        vectors.set(data.subarray(row * width, (row + 1) * width), position * width);
      });
    }
    return vectors;
  }

  return { embed, version: env.version };
}

/** Do one command and give what was measured. */
async function obey(embed, command) {
  const { do: what, batch } = command;
  if (what === "memory") return memory();
  const texts = JSON.parse(readFileSync(command.texts, "utf8"));
  if (what === "embed") {
    writeFileSync(command.out, new Uint8Array((await embed(texts, batch)).buffer));
    return {};
  }
  globalThis.gc?.();
  if (what === "bulk") {
    await embed(texts.slice(0, WARM_UP), batch);
    return { seconds: (await timed(embed, texts, batch)) / 1e3 };
  }
  if (what === "requests") {
    for (const request of texts.slice(0, command.warm_up)) await embed(request, batch);
    const latencies = [];
    for (const request of texts) {
      await setTimeout(command.pause_ms);
      latencies.push(await timed(embed, request, batch));
    }
    return { latencies_ms: latencies };
  }
  throw new Error(`do: expected memory, embed, bulk or requests, got ${what}`);
}

/** Give the milliseconds of one call. */
async function timed(embed, texts, batch) {
  const start = performance.now();
  await embed(texts, batch);
  return performance.now() - start;
}

/** Read resident memory, now and at its peak. */
function memory() {
  const status = readFileSync("/proc/self/status", "utf8");
  const mib = (name) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+)`, "m"))[1]) / 1024;
  return { rss_mib: mib("VmRSS"), peak_rss_mib: mib("VmHWM") };
}

await main(process.argv[2], Number(process.argv[3]));
