// graphile-worker's process in the bench, set up as the throughput figures of its performance page are.
// A question is a JSON object on a line of standard input; each answer is one on standard output.

import { createInterface } from "node:readline";
import { Logger, run, runMigrations } from "graphile-worker";
import pg from "pg";

const connectionString = process.env.DATABASE_URL;
const preset = {
  worker: {
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
};
const FILL = 5000;
const logger = new Logger(() => (level, message) => {
  if (level === "error") process.stderr.write(`graphile-worker: ${message}\n`);
});

const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

async function fill(kind, bodies) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  for (let first = 0; first < bodies.length; first += FILL) {
    await client.query(
      `SELECT count(graphile_worker.add_job($1::text, body::json)) FROM unnest($2::text[]) AS body`,
      [kind, bodies.slice(first, first + FILL)],
    );
  }
  await client.end();
}

async function working(taskList, until) {
  const runner = await run({ preset, connectionString, taskList, logger, noHandleSignals: true });
  await until;
  await runner.stop();
}

async function drain(kind, jobs) {
  let handled = 0;
  let began_ns, all_handled_ns, allHandled;
  const until = new Promise((resolve) => { allHandled = resolve; });
  const nothing = async () => {
    if (++handled === jobs) {
      all_handled_ns = process.hrtime.bigint();
      allHandled();
    }
  };
  began_ns = process.hrtime.bigint();
  await working({ [kind]: nothing }, until);
  return Number(all_handled_ns - began_ns) / 1e9;
}

async function hear(stretch) {
  const arrived = [];
  let of = 0, allArrived;
  const until = new Promise((resolve) => { allArrived = resolve; });
  const note = async (told) => {
    const now_ns = process.hrtime.bigint(); // the clock of Python's time.monotonic_ns
    if (told.lane !== stretch && told.lane !== `${stretch}-last`) return;
    if (arrived.length === 0) say({ ready: true });
    arrived.push([told.booking, Number(now_ns)]);
    of ||= told.of;
    if (of && arrived.length >= of) allArrived();
  };
  await working({ note }, until);
  say({ arrived });
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  if (asked.do === "install") {
    await runMigrations({ connectionString, logger });
    say({ installed: true });
  } else if (asked.do === "fill") {
    await fill(asked.kind, asked.bodies);
    say({ filled: asked.bodies.length });
  } else if (asked.do === "drain") {
    say({ seconds: await drain(asked.kind, asked.jobs) });
  } else if (asked.do === "hear") {
    await hear(asked.stretch);
  } else {
    throw new Error(`unknown question: ${line}`);
  }
}
process.exit(0);
