"use strict";

// The board is read once a second while somebody looks, and less often while the range does not answer.
const EVERY_MS = 1000;
const LONGEST_MS = 15000;
const HEALTH_EVERY = 5;

const lanes = document.getElementById("lanes");
const template = document.getElementById("lane");
const cards = new Map();
let failures = 0;
let looks = 0;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exactly = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const STATES = { "free": "free", "held": "being booked", "booked": "booked", "checked-in": "checked in", "in-use": "shooting" };

function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function card(lane) {
  let found = cards.get(lane.lane);
  if (!found) {
    found = template.content.firstElementChild.cloneNode(true);
    cards.set(lane.lane, found);
  }
  return found;
}

function details(lane) {
  if (lane.state === "in-use") {
    const since = lane.started_at ? `since ${clock.format(new Date(lane.started_at))}` : "";
    const counts = [[lane.inner_tens, "inner tens"], [lane.misses, "misses"], [lane.sighters, "sighters"]]
      .filter(([count]) => count).map(([count, what]) => `${count} ${what}`);
    return [since, ...counts].filter(Boolean).join(" · ");
  }
  if (!lane.until) return lane.state === "free" ? "nothing booked" : "";
  const until = new Date(lane.until);
  const soon = until - Date.now() < 20 * 3600 * 1000;
  const when = soon ? clock.format(until) : until.toLocaleDateString(undefined, { day: "numeric", month: "short" });
  return `until ${when}`;
}

function draw(lane) {
  const found = card(lane);
  const shooting = lane.state === "in-use";
  found.dataset.state = lane.state;
  text(found.querySelector("h3"), lane.lane);
  found.classList.toggle("ceased", Boolean(lane.cease_fire_since));
  text(found.querySelector(".state"), lane.cease_fire_since ? "CEASE FIRE" : STATES[lane.state] || lane.state);
  text(found.querySelector(".where"), `${lane.discipline} · ${lane.distance_m} m`);
  found.querySelector(".score").hidden = !shooting;
  if (shooting) {
    text(found.querySelector(".rings"), lane.shots === null ? "–" : (lane.score_tenths / 10).toFixed(1));
    text(found.querySelector(".unit"), lane.shots === null ? "no shots yet" : `rings in ${lane.shots} shots`);
  }
  text(found.querySelector(".details"), details(lane));
  return found;
}

function drawAll(board) {
  const wanted = board.lanes.map(draw);
  const same = wanted.length === lanes.children.length && wanted.every((one, n) => one === lanes.children[n]);
  if (!same) lanes.replaceChildren(...wanted);
  document.getElementById("empty").hidden = wanted.length > 0;
  text(document.getElementById("as-of"), `as of ${exactly.format(new Date(board.at))}`);
}

function drawHealth(state, words) {
  document.getElementById("health").dataset.state = state;
  text(document.getElementById("health-text"), words);
}

async function lookAtHealth() {
  const answer = await fetch("/health/ready", { cache: "no-store" });
  const health = await answer.json();
  if (health.ready) return drawHealth("good", "at work");
  const missing = (health.services || []).filter((one) => !one.at_work || one.stuck).map((one) => one.service);
  drawHealth("bad", missing.length ? `waiting for ${missing.join(", ")}` : "not ready");
}

async function look() {
  try {
    const answer = await fetch("/v1/board", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    drawAll(await answer.json());
    if (looks++ % HEALTH_EVERY === 0) await lookAtHealth();
    failures = 0;
    document.body.classList.remove("stale");
  } catch {
    failures += 1;
    document.body.classList.add("stale");
    drawHealth("bad", "no answer");
    looks = 0;
  }
  setTimeout(lookWhenSeen, Math.min(LONGEST_MS, EVERY_MS * 2 ** failures));
}

function lookWhenSeen() {
  if (!document.hidden) return look();
  document.addEventListener("visibilitychange", lookWhenSeen, { once: true });
}

const sample = document.getElementById("try-it");
sample.textContent = sample.textContent
  .replaceAll("ORIGIN", location.origin)
  .replaceAll("DAY", new Date().toISOString().slice(0, 10));
look();
