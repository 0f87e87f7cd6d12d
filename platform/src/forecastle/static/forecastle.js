// Starts Swagger UI on the document that the page names. A separate file, because the content policy allows no inline script.
"use strict";

const page = document.getElementById("swagger-ui");

window.ui = SwaggerUIBundle({
  url: page.dataset.document,
  domNode: page,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null, // it would be asked over the network
});
