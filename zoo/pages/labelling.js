"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const at = (id) => document.getElementById(id);
let given = []; // index of a label, or null for a skipped picture, in the order of the pictures
try {
  const kept = JSON.parse(localStorage.getItem(facts.name));
  const fits = (one) => one === null || (Number.isInteger(one) && one >= 0 && one < facts.labels.length);
  if (Array.isArray(kept) && kept.length <= facts.pictures.length && kept.every(fits)) given = kept;
} catch { /* a page without storage keeps nothing */ }

function keep() {
  try { localStorage.setItem(facts.name, JSON.stringify(given)); } catch { /* likewise */ }
  show();
}
function give(label) { if (given.length < facts.pictures.length) { given.push(label); keep(); } }
function undo() { if (given.length) { given.pop(); keep(); } }
function accept() { const one = facts.pictures[given.length]; if (one) give(facts.labels.indexOf(one.said)); }
function labels() {
  const pictures = given.map((label, place) => ({ path: facts.pictures[place].path, label: label === null ? null : facts.labels[label] }));
  return JSON.stringify({ ...facts.head, labels: facts.labels, pictures: [...facts.before, ...pictures] }, null, 1) + "\n";
}
function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([labels()], { type: "application/json" }));
  link.download = "labels.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
function show() {
  const one = facts.pictures[given.length], skipped = given.filter((label) => label === null).length;
  at("progress").textContent = `${given.length} of ${facts.pictures.length} done, ${skipped} skipped`;
  at("bar").style.width = `${(100 * given.length) / Math.max(1, facts.pictures.length)}%`;
  at("picture").hidden = !one;
  if (one) at("picture").src = one.src;
  at("said").textContent = one ? `${one.path} · the model says ${one.said} (${Math.round(100 * one.sure)} %)` : "All done: save labels.json.";
  for (const button of at("classes").children) button.classList.toggle("said", Boolean(one) && button.dataset.label === one.said);
}
facts.labels.forEach((label, place) => {
  const button = document.createElement("button"), key = document.createElement("kbd"), name = document.createElement("span");
  key.textContent = (facts.keys[place] || "·").toUpperCase();
  name.textContent = label;
  button.dataset.label = label;
  button.append(key, name);
  button.addEventListener("click", () => { give(place); button.blur(); });
  at("classes").append(button);
});
const ways = { p: accept, s: () => give(null), u: undo, backspace: undo, enter: save };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase(), place = key.length === 1 ? facts.keys.indexOf(key) : -1;
  if (ways[key]) { event.preventDefault(); ways[key](); } else if (place >= 0 && place < facts.labels.length) give(place);
});
for (const [id, way] of [["accept", accept], ["skip", () => give(null)], ["undo", undo], ["save", save]]) {
  at(id).addEventListener("click", () => { way(); at(id).blur(); });
}
show();
