// In a page of its own the content stands beside the script.
const read = (name) => document.getElementById(name)?.textContent;
const model = JSON.parse(read("content"));
const packed = (name) => (model.maps ?? []).map((_, number) => read(`${name}-${number}`));
render({
  el: document.getElementById("page"),
  model,
  packed: { weights: packed("weights"), scores: packed("scores"), vectors: packed("vectors") },
});
