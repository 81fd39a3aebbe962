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
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  const limits = [schema.minimum, schema.maximum].filter((limit) => limit !== undefined);
  return [schema.format ?? schema.type, limits.length === 2 ? `${limits[0]}–${limits[1]}` : ""].join(" ").trim();
}

function table(heads, rows) {
  const head = el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
}

function operation(path, method, described) {
  const inside = el("div", { class: "inside" }, el("p", { class: "dim" }, described.description));
  if (described.parameters.length) {
    inside.append(table(["Parameter", "Kind", "What"], described.parameters.map((parameter) => [
      el("code", {}, parameter.name), kind(parameter.schema),
      [parameter.description, parameter.schema.default !== undefined ? `default ${parameter.schema.default}` : ""].filter(Boolean).join("; "),
    ])));
  }
  inside.append(table(["Status", "Answer", "When"], Object.entries(described.responses).map(([status, response]) => {
    const [media, content] = Object.entries(response.content ?? {})[0] ?? ["", {}];
    return [el("code", {}, status), media === "application/json" ? kind(content.schema) : media, response.description];
  })));
  inside.append(el("pre", {}, `curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}-H "Authorization: Bearer $KEY" ${location.origin}${path}`));
  return el("details", {},
    el("summary", {}, el("span", { class: `method ${method}` }, method.toUpperCase()), el("code", {}, path), ` ${described.summary}`),
    inside);
}

function shape(name, schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([field, of]) => [el("code", {}, field), kind(of), of.description ?? ""]);
  return el("details", { id: name },
    el("summary", {}, el("code", {}, name), ` ${schema.description ?? ""}`),
    el("div", { class: "inside" }, table(["Field", "Kind", "What"], rows)));
}

const main = document.getElementById("docs");
try {
  const api = await (await fetch("/openapi.json")).json();
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => operation(path, method, described)));
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
