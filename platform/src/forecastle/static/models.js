// Lists the models on the platform's page, with links to their own. The list is asked for as a client asks: the page itself
// tells nothing to whoever may not read it.

const section = document.getElementById("models");
const cards = section.querySelector(".cards");
const said = section.querySelector(".said");

function card(model) {
  const live = model.aliases.production;
  const name = document.createElement(live ? "a" : "b");
  name.textContent = model.name;
  if (live) name.href = model.links.docs;
  const state = document.createElement("span");
  state.textContent = `${model.plugin} · ${live ? `version ${live} is live` : "no version is live"}`;
  const item = document.createElement("li");
  item.append(name, state);
  return item;
}

/** Lead to where the browser asks for a key and then sends it by itself. */
function askForKey() {
  const link = document.createElement("a");
  link.href = section.dataset.signIn;
  link.textContent = "Sign in with a key";
  said.append(link, " to see the models: the key is the password, any name will do.");
}

async function show(address) {
  const answer = await fetch(address);
  if (answer.status === 401) return askForKey();
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  cards.append(...found.items.map(card));
  if (found.items.length === 0) said.textContent = "There is no model yet. “forecastle train” makes one.";
  if (found.next !== null) said.textContent = `These are the first ${found.items.length}; the rest: GET ${address}?after=${found.next}`;
}

show(section.dataset.address).catch((error) => {
  said.textContent = `The models cannot be listed: ${error.message}`;
});
