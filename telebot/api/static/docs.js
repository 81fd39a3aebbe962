// Renders /openapi.json. Everything is put in as text, never as markup.
const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

const last = (reference) => reference.split("/").at(-1);

function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return last(schema.$ref);
  if (schema.anyOf ?? schema.oneOf) return (schema.anyOf ?? schema.oneOf).map(kind).join(" or ");
  if (schema.const !== undefined) return String(schema.const);
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return `list of ${kind(schema.items) || "anything"}`;
  if (schema.additionalProperties?.type || schema.additionalProperties?.$ref) return `object of ${kind(schema.additionalProperties)}`;
  return [schema.format ?? schema.type ?? "anything", limits(schema)].filter(Boolean).join(" ");
}

function limits(schema) {
  const [least, most] = [schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum];
  if (least !== undefined || most !== undefined) return `${least ?? ""}–${most ?? ""}`;
  const longest = schema.maxLength ?? schema.maxItems;
  return longest === undefined ? "" : `(at most ${longest})`;
}

// A shape that is named leads to where it stands.
function shown(schema) {
  const names = JSON.stringify(schema ?? {}).match(/#\/components\/schemas\/[^"]+/g) ?? [];
  if (names.length !== 1) return kind(schema);
  return el("a", { href: `#${last(names[0])}` }, kind(schema));
}

function table(heads, rows) {
  const head = el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
}

const about = (described, schema) =>
  [described, schema?.default !== undefined && schema.default !== null ? `default ${JSON.stringify(schema.default)}` : ""].filter(Boolean).join("; ");

// What stands for several answers stands once, among the components.
const found = (api, answer) => (answer.$ref ? api.components.responses[last(answer.$ref)] : answer);

function answers(api, responses) {
  return Object.entries(responses).flatMap(([status, given]) => {
    const answer = found(api, given);
    const contents = Object.entries(answer.content ?? { "": {} });
    return contents.map(([media, content], at) => [
      at ? "" : el("code", {}, status),
      el("span", {}, el("code", {}, media), " ", media.endsWith("json") ? shown(content.schema) : ""),
      at ? "" : answer.description,
    ]);
  });
}

function headers(api, responses) {
  const rows = Object.entries(responses).flatMap(([status, given]) =>
    Object.entries(found(api, given).headers ?? {}).map(([name, told]) => [el("code", {}, name), el("code", {}, status), told.description]));
  return rows.length ? [table(["Header of the answer", "Status", "What"], rows)] : [];
}

function command(path, method, content) {
  const verb = method === "get" ? "" : `-X ${method.toUpperCase()} `;
  const body = content["multipart/form-data"] ? "-F file=@recording.mp3 " : content["application/json"] ? "-H 'Content-Type: application/json' -d '{…}' " : "";
  return el("pre", {}, `curl ${verb}-H "Authorization: Bearer $KEY" ${body}${location.origin}${path}`);
}

function operation(api, path, method, described) {
  const inside = el("div", { class: "inside" }, el("p", { class: "dim" }, described.description));
  if (described.parameters.length) {
    inside.append(table(["Parameter", "In", "Kind", "What"], described.parameters.map((parameter) => [
      el("code", {}, parameter.name), parameter.in, kind(parameter.schema), about(parameter.description, parameter.schema),
    ])));
  }
  const content = described.requestBody?.content ?? {};
  if (Object.keys(content).length) {
    inside.append(table(["Body", "Shape"], Object.entries(content).map(([media, of]) => [el("code", {}, media), shown(of.schema)])));
  }
  inside.append(
    table(["Status", "Answer", "When"], answers(api, described.responses)),
    ...headers(api, described.responses),
    command(path, method, content));
  return el("details", { id: described.operationId },
    el("summary", {}, el("span", { class: `method ${method}` }, method.toUpperCase()), el("code", {}, path), ` ${described.summary}`),
    inside);
}

function shape(name, schema) {
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([field, of]) => [
    el("code", {}, field), required.has(field) ? "yes" : "", shown(of), about(of.description, of),
  ]);
  return el("details", { id: name },
    el("summary", {}, el("code", {}, name), ` ${schema.description ?? ""}`),
    el("div", { class: "inside" }, table(["Field", "Always", "Kind", "What"], rows)));
}

// A link to a shape opens it.
function open() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  target.open = true;
  target.scrollIntoView();
}

const main = document.getElementById("docs");
try {
  const api = await (await fetch("/openapi.json")).json();
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => operation(api, path, method, described)));
  main.replaceChildren(
    el("h1", {}, `${api.info.title} API ${api.info.version}`),
    el("p", {}, "Machine-readable: ", el("a", { href: "/openapi.json" }, "openapi.json"), ". Every request carries a key: ", el("code", {}, "Authorization: Bearer KEY"), "."),
    ...operations,
    el("h2", {}, "Shapes"),
    ...Object.entries(api.components.schemas).map(([name, schema]) => shape(name, schema)));
} catch (error) {
  main.replaceChildren(el("p", { role: "alert" }, `openapi.json could not be read: ${error}`));
}
main.removeAttribute("aria-busy");
addEventListener("hashchange", open);
open();
