// Every WebSocket that this Node has: its own (from 22 on) and that of the package ws.
import { createRequire } from "node:module";

export function webSockets() {
  const found = globalThis.WebSocket ? [["built in", globalThis.WebSocket]] : [];
  for (const name of ["ws", "/usr/share/nodejs/ws/index.js"]) { // Debian's place, unknown to others
    try {
      return [...found, ["ws", createRequire(import.meta.url)(name)]];
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return found;
}

export function happens(client, event, wanted = () => true) {
  return new Promise((resolve) => {
    const off = client.on(event, (what) => {
      if (!wanted(what)) return;
      off();
      resolve(what);
    });
  });
}

process.on("unhandledRejection", (error) => {
  console.error("nobody heard of", error);
  process.exit(3);
});
