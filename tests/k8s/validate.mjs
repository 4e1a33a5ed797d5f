// Hold custom resources against the validators of their definitions; run where these are installed.
// Reads { known: { apiVersion/kind: the package that has it }, documents: [...] } from standard input,
// prints a line a complaint, and exits with 1 if there is any.
import { readFileSync } from "node:fs";

const { known, documents } = JSON.parse(readFileSync(0, "utf8"));
for (const document of documents) {
  const name = `${document.apiVersion}/${document.kind}`;
  const loaded = await import(`${known[name]}/${name}`);
  const Model = loaded[document.kind] ?? loaded.default[document.kind];
  try {
    new Model(document).validate();
  } catch (error) {
    process.exitCode = 1;
    console.log(`${document.kind} ${document.metadata.name}: ${error.message}`);
  }
}
