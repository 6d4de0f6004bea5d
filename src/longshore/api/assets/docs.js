"use strict";

/* Lists the operations of the OpenAPI document and sends requests. Text from the server is only
   ever put into the page as text, never as markup. */

const BASE = "/api/v2";

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function authorization() {
  const login = new FormData(document.getElementById("login"));
  if (login.get("key")) return login.get("key");
  if (!login.get("user")) return null;
  const bytes = new TextEncoder().encode(`${login.get("user")}:${login.get("password")}`);
  return "Basic " + btoa(String.fromCharCode(...bytes));
}

function target(document_, reference) {
  return reference.replace("#/", "").split("/").reduce((part, name) => part[name], document_);
}

/* An example of what a schema describes: the fields that a client may send. */
function example(document_, schema, depth = 0) {
  if (!schema || depth > 4) return null;
  if (schema.$ref) return example(document_, target(document_, schema.$ref), depth + 1);
  if (schema.allOf) {
    return Object.assign({}, ...schema.allOf.map((each) => example(document_, each, depth + 1)));
  }
  if (schema.enum) return schema.enum[0];
  if (schema.type === "object") {
    const fields = Object.entries(schema.properties || {}).filter(([, field]) => !field.readOnly);
    return Object.fromEntries(
      fields.map(([name, field]) => [name, example(document_, field, depth + 1)]));
  }
  if (schema.type === "array") return [example(document_, schema.items, depth + 1)];
  return { integer: 0, number: 0, boolean: false }[schema.type] ?? "";
}

function address(path, fields) {
  let filled = path;
  const query = new URLSearchParams();
  for (const field of fields) {
    if (field.dataset.in === "path") {
      filled = filled.replace(`{${field.name}}`, encodeURIComponent(field.value));
    } else if (field.value !== "") {
      query.append(field.name, field.value);
    }
  }
  const text = query.toString();
  return BASE + filled + (text ? `?${text}` : "");
}

async function send(method, path, form, answer) {
  const url = address(path, form.querySelectorAll("input"));
  const headers = { Accept: "application/json" };
  const credential = authorization();
  if (credential) headers.Authorization = credential;
  const body = form.querySelector("textarea")?.value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  answer.textContent = `${method} ${url}\n…`;
  const start = performance.now();
  try {
    const response = await fetch(url, { method, headers, body });
    const text = await response.text();
    const took = Math.round(performance.now() - start);
    answer.textContent =
      `${method} ${url}\n${response.status} ${response.statusText}, ${took} ms\n\n${pretty(text)}`;
  } catch (error) {
    answer.textContent = `${method} ${url}\n${error}`;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function parameterField(parameter) {
  const input = element("input", { name: parameter.name, placeholder: parameter.schema.type });
  input.dataset.in = parameter.in;
  input.required = parameter.required === true;
  input.title = parameter.description || "";
  return element("label", {}, `${parameter.name}${input.required ? " *" : ""}`, input);
}

function inside(document_, path, method, operation) {
  const form = element("form", { className: "inside" });
  const scope = operation["x-api-key-scope"];
  if (scope) {
    form.append(element("p", { className: "quiet" }, `scope ${scope.controller}/${scope.action}`));
  }
  form.append(...(operation.parameters || []).map(parameterField));
  const schema = operation.requestBody?.content["application/json"].schema;
  if (schema) {
    const body = JSON.stringify(example(document_, schema), null, 2);
    form.append(element("textarea", { value: body, spellcheck: false }));
  }
  const answer = element("pre", { hidden: true });
  form.append(element("button", {}, "Send"), answer);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer.hidden = false;
    send(method, path, form, answer);
  });
  return form;
}

function operationView(document_, path, method, operation) {
  const view = element("details", { className: method });
  view.append(element("summary", {},
    element("b", {}, method), element("code", {}, path),
    element("span", { className: "quiet" }, operation.summary || operation.operationId)));
  view.dataset.text = `${method} ${path} ${operation.operationId}`.toLowerCase();
  view.addEventListener("toggle", () => {
    if (view.open && view.children.length === 1) {
      view.append(inside(document_, path, method, operation));
    }
  });
  return view;
}

function show(document_) {
  const groups = new Map();
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, element("section", {}, element("h2", {}, tag)));
      groups.get(tag).append(operationView(document_, path, method.toUpperCase(), operation));
    }
  }
  document.getElementById("operations").replaceChildren(...groups.values());
}

document.getElementById("search").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const view of document.querySelectorAll("details")) {
    view.hidden = !view.dataset.text.includes(wanted);
  }
});
document.getElementById("login").addEventListener("submit", (event) => event.preventDefault());

fetch(`${BASE}/openapi.json`)
  .then((response) => response.json())
  .then(show)
  .catch((error) => {
    document.getElementById("operations").textContent = `The document cannot be read: ${error}`;
  });
