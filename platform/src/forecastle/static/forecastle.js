// Starts Swagger UI on the document that the page names, and gives its file inputs the example that the document holds.
// A file of its own, because the content policy allows no inline script.

const page = document.getElementById("swagger-ui");
const hasHeadOfItsOwn = document.getElementById("chart") !== null;
const FILE_FORM = ["post", "requestBody", "content", "multipart/form-data", "schema", "properties"];

/** Show the zeros of a list: Swagger UI leaves their boxes empty, though it sends them. */
const showZeros = (Boxes, { React }) => (properties) => {
  const value = properties.value?.includes?.(0) ? properties.value.map((item) => (item === 0 ? "0" : item)) : properties.value;
  return React.createElement(Boxes, { ...properties, value });
};

const ui = SwaggerUIBundle({
  url: page.dataset.document,
  domNode: page,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: hasHeadOfItsOwn ? -1 : 0,
  tryItOutEnabled: true,
  validatorUrl: null, // it would be asked over the network
  plugins: [
    () => ({ wrapComponents: { JsonSchema_array: showZeros } }),
    () => (hasHeadOfItsOwn ? { components: { InfoContainer: () => null } } : {}),
  ],
});

/** Return the example of a file input as text; undefined where the document has none. */
function exampleOf(input) {
  const path = input.closest(".opblock")?.querySelector("[data-path]")?.dataset.path;
  return ui.specSelectors.specJson().getIn(["paths", path, ...FILE_FORM, "file", "x-example-csv"]);
}

/** Choose the example file, as a person would: Swagger UI cannot prefill a file, and shows the name of one that is chosen. */
function chooseExample(input) {
  const text = exampleOf(input);
  if (text === undefined) return;
  const chosen = new DataTransfer();
  chosen.items.add(new File([text], "example.csv", { type: "text/csv" }));
  input.files = chosen.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

const seen = new WeakSet();
new MutationObserver(() => {
  for (const input of page.querySelectorAll("input[type=file]")) {
    if (!seen.has(input)) {
      seen.add(input);
      chooseExample(input);
    }
  }
}).observe(page, { childList: true, subtree: true });

// Reset forgets the file, though the input goes on showing it: choose it again, once Swagger UI is done. The click is caught
// on its way down, because the button is gone when it comes back up.
page.addEventListener(
  "click",
  (event) => {
    const block = event.target.closest(".btn.reset")?.closest(".opblock");
    setTimeout(() => block?.querySelectorAll("input[type=file]").forEach(chooseExample));
  },
  { capture: true },
);
