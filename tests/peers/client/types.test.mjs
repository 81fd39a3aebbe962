// The declarations name what the module has, no more and no less.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as module from "../../../telebot/console/static/telebot-client.js";

const folder = new URL("../../../telebot/console/static/", import.meta.url);
const declared = readFileSync(new URL("telebot-client.d.ts", folder), "utf8");

function body(opening) {
  const from = declared.indexOf(opening);
  assert.ok(from >= 0, opening);
  return declared.slice(from, declared.indexOf("\n}", from));
}

function names(text, pattern) {
  return [...text.matchAll(pattern)].map(([, name]) => name).sort();
}

test("what is exported", () => {
  const exported = names(declared, /^export (?:class|function) (\w+)/gm);
  assert.deepEqual(exported, Object.keys(module).sort());
});

test("the client's methods and properties", () => {
  const members = Object.getOwnPropertyNames(module.TelebotClient.prototype).sort();
  const written = names(body("export class TelebotClient"), /^ {2}(?:readonly )?(\w+)[(:<]/gm);
  assert.deepEqual(written, members);
});

test("the events", () => {
  const client = new module.TelebotClient({ session: () => "t" });
  const written = names(body("export interface Events"), /^ {2}(\w+): /gm);
  for (const name of written) client.on(name, () => {});
  const source = readFileSync(new URL("telebot-client.js", folder), "utf8");
  const known = [...source.matchAll(/^ *(?:const OWN_EVENTS = )?"([a-z ]+)"\.split\(" "\)/gm)];
  assert.deepEqual(known.flatMap(([, list]) => list.split(" ")).sort(), written);
});

test("the options", () => {
  const source = readFileSync(new URL("telebot-client.js", folder), "utf8");
  const read = new Set([...source.matchAll(/#options\.(\w+)/g)].map(([, name]) => name));
  for (const [, list] of source.matchAll(/const \{ ([^}]*) \} = this\.#options/g)) {
    for (const name of list.split(", ")) read.add(name);
  }
  const written = names(body("export interface Options"), /^ {2}(\w+)\?: /gm);
  assert.deepEqual(written, [...read].sort());
});

test("the package is of the server's version", () => {
  const { version, exports } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8"));
  const project = readFileSync(new URL("../../../pyproject.toml", import.meta.url), "utf8");
  assert.equal(version, /^version = "(.*)"$/m.exec(project)[1]);
  assert.deepEqual(exports["."], { types: "./telebot-client.d.ts", default: "./telebot-client.js" });
});
