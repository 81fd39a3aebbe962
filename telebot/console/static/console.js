// Comfort on top of pages that work without it: local times, playing from a turn, live refresh,
// moving through lists by key. Never builds markup from words: fetched pages are parsed inert.
const main = document.getElementById("main");
const audio = () => document.querySelector("audio");

function localTimes(root) {
  const sameDay = (one, other) => one.toDateString() === other.toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    const day = sameDay(at, new Date()) ? {} : { year: "numeric", month: "short", day: "numeric" };
    time.title = time.dateTime;
    time.textContent = at.toLocaleString(undefined, { ...day, hour: "2-digit", minute: "2-digit", second: "2-digit" });
  }
}

function seekButtons(root) {
  if (!audio()) return;
  for (const button of root.querySelectorAll("[data-seek]")) button.hidden = false;
}

function dress(root) {
  localTimes(root);
  seekButtons(root);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-seek]");
  const player = audio();
  if (!button || !player) return;
  player.currentTime = Math.max(0, Number(button.dataset.seek) - 0.2);
  player.play();
});

// the turn that is being heard
document.addEventListener("timeupdate", (event) => {
  const at = event.target.currentTime + 0.25;
  let current = null;
  for (const turn of document.querySelectorAll(".turn")) {
    const button = turn.querySelector("[data-seek]");
    turn.classList.remove("playing");
    if (button && Number(button.dataset.seek) <= at) current = turn;
  }
  if (!event.target.paused) current?.classList.add("playing");
}, true);

// j and k: next and previous call or turn
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, audio")) return;
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const stops = [...document.querySelectorAll("a.row, .turn")];
  const at = stops.findIndex((stop) => stop.contains(document.activeElement));
  const next = stops[Math.min(stops.length - 1, Math.max(0, at + step))];
  if (!next) return;
  if (next.tabIndex < 0) next.tabIndex = -1;
  next.focus();
});
for (const turn of document.querySelectorAll(".turn")) turn.tabIndex = -1;

// live pages read themselves again; what is unfolded stays so, and nothing moves under the hands
async function refresh() {
  const seconds = Number(main.dataset.refresh);
  if (!seconds) return;
  await new Promise((done) => setTimeout(done, seconds * 1000));
  const shown = document.getElementById("refreshed");
  if (!document.hidden && shown && !shown.contains(document.activeElement)) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.status === 401) return location.reload();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("refreshed");
      if (fresh) {
        for (const open of shown.querySelectorAll("details[open][id]")) fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
        shown.replaceWith(fresh);
        dress(main);
        main.dataset.refresh = page.getElementById("main").dataset.refresh ?? 0;
      }
    } catch { /* the server restarts: the next round finds it */ }
  }
  refresh();
}

dress(document);
refresh();
