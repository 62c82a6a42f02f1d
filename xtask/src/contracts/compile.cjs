// Compiles every `*.sol` of a directory, adds contracts of npm packages, and writes the creation code
// of each contract by its name: `node compile.cjs PACKAGES SOURCES OUTPUT`.
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const [packages, sources, output] = process.argv.slice(2);
const load = (name) => require(path.resolve(packages, "node_modules", name));

/// Contracts that the packages have compiled already.
const COW = "@cowprotocol/contracts/deployments/sepolia";
const SAFE = "@safe-global/safe-contracts/build/artifacts/contracts";
const ARTIFACTS = {
  GPv2Settlement: `${COW}/GPv2Settlement.json`,
  GPv2AllowListAuthentication: `${COW}/GPv2AllowListAuthentication_Implementation.json`,
  GPv2AllowListProxy: `${COW}/GPv2AllowListAuthentication_Proxy.json`,
  Safe: `${SAFE}/Safe.sol/Safe.json`,
  SafeProxy: `${SAFE}/proxies/SafeProxy.sol/SafeProxy.json`,
  SafeProxyFactory: `${SAFE}/proxies/SafeProxyFactory.sol/SafeProxyFactory.json`,
  CompatibilityFallbackHandler: `${SAFE}/handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json`,
};

function compiled() {
  const files = fs.readdirSync(sources).filter((name) => name.endsWith(".sol"));
  const content = (name) => ({ content: fs.readFileSync(path.join(sources, name), "utf8") });
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(files.map((name) => [name, content(name)])),
    settings: {
      optimizer: { enabled: true, runs: 200 },
      viaIR: true,
      outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
    },
  };
  const result = JSON.parse(load("solc").compile(JSON.stringify(input)));
  const errors = (result.errors ?? []).filter((error) => error.severity === "error");
  if (errors.length > 0) {
    throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  }
  return Object.values(result.contracts).flatMap(Object.entries);
}

const contracts = {};
function add(name, code) {
  if (name in contracts) {
    throw new Error(`two contracts are called ${name}`);
  }
  contracts[name] = code.startsWith("0x") ? code : `0x${code}`;
}

for (const [name, artifact] of Object.entries(ARTIFACTS)) {
  add(name, load(artifact).bytecode);
}
add("Multicall3", load("viem/_cjs/constants/contracts.js").multicall3Bytecode);
for (const [name, contract] of compiled()) {
  // Interfaces and abstract contracts have no code.
  if (contract.evm.bytecode.object !== "") {
    add(name, contract.evm.bytecode.object);
  }
}
fs.writeFileSync(output, `${JSON.stringify(contracts, null, 1)}\n`);
