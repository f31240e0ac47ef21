// Compiles src/*.sol and writes one artefact for each deployable contract to artifacts/.
// With --check it writes nothing and exits 1 when what is committed differs from what the sources give.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import solc from "solc";

const root = import.meta.dirname;
const sourceDir = join(root, "src");
const artifactDir = join(root, "artifacts");

// Berlin is the oldest fork Lockstep executes: code for it runs on all later ones.
// Without metadata the bytecode depends on the code alone, not on comments or names of files.
const settings = {
  evmVersion: "berlin",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  optimizer: { enabled: true, runs: 200 },
  viaIR: false,
};

function compile() {
  const names = readdirSync(sourceDir).filter((name) => name.endsWith(".sol")).sort();
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(names.map((name) => [name, { content: readFileSync(join(sourceDir, name), "utf8") }])),
    settings: {
      ...settings,
      outputSelection: {
        "*": {
          "*": [
            "abi", "metadata", "storageLayout", "evm.methodIdentifiers", "evm.bytecode.object",
            "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences",
          ],
        },
      },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const messages = output.errors ?? [];
  if (messages.length > 0) {
    throw new Error(messages.map((message) => message.formattedMessage).join("\n"));
  }
  return output.contracts;
}

// The compiler numbers the nodes of all files together; without the numbers an edit shows in its own artefact only.
function withoutNodeNumbers(layout) {
  const named = JSON.stringify(layout).replace(/\)\d+(?=[_,)"])/g, ")");
  return JSON.parse(named, (key, value) => (key === "astId" ? undefined : value));
}

function artifactOf(contractName, contract) {
  const { bytecode, deployedBytecode, methodIdentifiers } = contract.evm;
  // Tests put the runtime code into a state as it stands, which holes for immutables would spoil.
  if (Object.keys(deployedBytecode.immutableReferences).length > 0) {
    throw new Error(`${contractName}: immutables are not allowed here`);
  }
  const { sources } = JSON.parse(contract.metadata);
  return {
    contractName,
    compiler: solc.version(),
    settings,
    abi: contract.abi,
    creationCode: `0x${bytecode.object}`,
    runtimeCode: `0x${deployedBytecode.object}`,
    storageLayout: withoutNodeNumbers(contract.storageLayout),
    methodIdentifiers,
    // Of every file the contract is made of, so that a stale artefact shows without a compiler.
    sourceKeccak: Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, source.keccak256])),
  };
}

/** Name of file to content, of every contract that can be deployed. */
function artifacts() {
  const files = new Map();
  for (const contracts of Object.values(compile())) {
    for (const [name, contract] of Object.entries(contracts)) {
      if (contract.evm.bytecode.object === "") continue; // abstract, or an interface
      files.set(`${name}.json`, `${JSON.stringify(artifactOf(name, contract), null, 2)}\n`);
    }
  }
  return files;
}

function committed() {
  if (!existsSync(artifactDir)) return [];
  return readdirSync(artifactDir).filter((name) => name.endsWith(".json"));
}

function check(files) {
  const found = committed();
  const isFresh = ([name, content]) =>
    found.includes(name) && readFileSync(join(artifactDir, name), "utf8") === content;
  const stale = [...files].filter((file) => !isFresh(file)).map(([name]) => name);
  const orphaned = found.filter((name) => !files.has(name));
  for (const name of stale) console.error(`stale: artifacts/${name}`);
  for (const name of orphaned) console.error(`no source: artifacts/${name}`);
  return stale.length + orphaned.length === 0;
}

function write(files) {
  mkdirSync(artifactDir, { recursive: true });
  for (const name of committed()) rmSync(join(artifactDir, name));
  for (const [name, content] of files) writeFileSync(join(artifactDir, name), content);
}

const options = process.argv.slice(2);
if (options.some((option) => option !== "--check")) {
  console.error("usage: node build.mjs [--check]");
  process.exit(2);
}
const files = artifacts();
if (options.includes("--check")) {
  if (!check(files)) process.exit(1);
  console.log(`${files.size} artefacts are fresh`);
} else {
  write(files);
  console.log(`wrote ${files.size} artefacts`);
}
