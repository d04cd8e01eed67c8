// Tries one thing after the other, shows what came of it, and leaves it in `window.found`.
import { film } from "./film.js";

const asText = (url, options) => fetch(url, options).then((answer) => answer.text());
const asJSON = (url, options) => fetch(url, options).then((answer) => answer.json());

const trials = {
  style: async () => getComputedStyle(document.body).backgroundColor,
  page: () => asText("/"),
  json: async () => (await asJSON("/headers?tea=%C3%BC")).target,
  compressed: async () => (await asText("/text")).length,
  redirected: async () => {
    const answer = await fetch("/redirect/302");
    return [answer.redirected, await answer.text()];
  },
  range: async () => asText("/files/tea.txt", { headers: { Range: "bytes=0-2" } }),
  cookies: async () => {
    await fetch("/cookies/set");
    return asJSON("/cookies");
  },
  form: async () => {
    const form = new FormData();
    form.append("drink", "tea & \"milk\"");
    form.append("file", new File([film(4000)], "film ü.bin", { type: "video/x-film" }));
    return asJSON("/form", { method: "POST", body: form });
  },
  upload: async () => (await asText("/measure", { method: "POST", body: film(3000000) })).split(" ")[0],
  stream: async () => {
    const reader = (await fetch("/blocks/50")).body.getReader();
    let count = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return count;
      count += value.length;
    }
  },
  aborted: async () => {
    const abort = new AbortController();
    const answer = await fetch("/blocks/1000000", { signal: abort.signal });
    await answer.body.getReader().read();
    abort.abort();
    return answer.status;
  },
  parallel: async () => {
    const asked = [...Array(60).keys()];
    const got = await Promise.all(asked.map((n) => asJSON(`/headers?${n}`)));
    return got.every((one, n) => one.target === `/headers?${n}`);
  },
  events: () =>
    new Promise((resolve) => {
      const source = new EventSource("/events"), seen = [];
      const see = (event) => {
        seen.push([event.type, event.data, event.lastEventId]);
        if (seen.length === 2) { source.close(); resolve(seen); }
      };
      source.onmessage = see;
      source.addEventListener("tea", see);
    }),
  resumed: () =>
    new Promise((resolve) => {
      const source = new EventSource("/resume"), seen = [];
      source.onmessage = (event) => seen.push(event.data);
      source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(seen); };
    }),
  socket: () =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket`);
      const seen = [], said = ["tea", "Grüße 🫖", film(3).buffer, film(900000).buffer, "x".repeat(900000)];
      socket.binaryType = "arraybuffer";
      socket.onopen = () => said.forEach((one) => socket.send(one));
      socket.onerror = () => reject(new Error("WebSocket"));
      socket.onmessage = (event) => {
        const data = event.data;
        const same = typeof data === "string"
          ? data === said[seen.length]
          : new Uint8Array(data).every((byte, n) => byte === n % 251);
        seen.push([same, data.length ?? data.byteLength]);
        if (seen.length === said.length) socket.close(1000, "enough");
      };
      socket.onclose = (event) =>
        resolve([seen, event.code, event.wasClean, socket.extensions.split(";")[0]]);
    }),
};

window.found = (async () => {
  const found = {};
  for (const [name, trial] of Object.entries(trials)) {
    found[name] = await trial().catch((error) => `${error}`);
    const row = document.getElementById("table").insertRow();
    row.insertCell().textContent = name;
    row.insertCell().textContent = JSON.stringify(found[name]).slice(0, 100);
  }
  return found;
})();
