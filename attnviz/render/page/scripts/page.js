// In a page of its own the content stands beside the script.
const read = (name) => document.getElementById(name).textContent;
const model = JSON.parse(read("content"));
const weights = model.maps.map((_, number) => read(`weights-${number}`));
const scores = model.maps.map((_, number) => document.getElementById(`scores-${number}`)?.textContent);
render({ el: document.getElementById("page"), model, weights, scores });
