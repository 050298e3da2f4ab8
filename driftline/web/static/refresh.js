// Keeps the first page current: fetches it again and puts its content in place, without losing the reader's place.
// Without a script the page reloads itself.
"use strict";

(() => {
  const main = document.querySelector("main[data-refresh]");
  if (!main) return;
  const everyMs = Number(main.dataset.refresh) * 1000;
  const controls = document.createElement("p");
  controls.className = "updates";
  const lost = document.createElement("span");
  lost.setAttribute("role", "alert");
  const pause = document.createElement("button");
  pause.type = "button";
  controls.append(lost, pause);
  document.querySelector("header.top").append(controls);

  let paused = false;
  const label = () => {
    pause.textContent = paused ? "Resume updates" : "Pause updates";
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    label();
  });
  label();

  const reading = () => {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed;
  };

  const put = (fresh) => {
    const scrolled = [...main.querySelectorAll(".wide")].map((table) => table.scrollLeft);
    const focused = main.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    main.replaceChildren(...fresh.querySelector("main").childNodes);
    document.title = fresh.title;
    main.querySelectorAll(".wide").forEach((table, place) => {
      table.scrollLeft = scrolled[place] || 0;
    });
    if (focused) {
      const again = [...main.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
      if (again) again.focus({ preventScroll: true });
    }
  };

  const refresh = async () => {
    if (paused || document.hidden || reading()) return;
    try {
      const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(2 * everyMs) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      put(new DOMParser().parseFromString(await response.text(), "text/html"));
      lost.textContent = "";
    } catch {
      if (!lost.textContent) {
        lost.textContent = `No answer since ${new Date().toISOString().slice(11, 19)} UTC; this is what was known then.`;
      }
    }
  };

  const run = async () => {
    await refresh();
    setTimeout(run, everyMs);
  };
  setTimeout(run, everyMs);
  document.addEventListener("visibilitychange", refresh);
})();
