// Draws the API. What it sends carries the proof that it comes from this page, which the server asks for with a cookie.
"use strict";
const proof = document.querySelector("input[name=proof]").value;
window.SwaggerUIBundle({
  url: "/batchpoint/v1/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (new URL(request.url, location.href).origin === location.origin) {
      request.headers["X-Batchpoint-Proof"] = proof;
    }
    return request;
  },
});
