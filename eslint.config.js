/** What eslint expects of the page's modules; undefined names are left to the type checker. */

import js from "@eslint/js";

/** A folder of the page that may not import from the others named, as a block of the configuration. */
const folder = (name, ...forbidden) => ({
  files: [`host/web/${name}/*.js`],
  rules: {
    "no-restricted-imports": ["error", { patterns: forbidden.map((other) => `../${other}/*`) }],
  },
});

export default [
  js.configs.recommended,
  folder("lib", "net", "panels"),
  folder("net", "lib", "panels"),
  {
    rules: {
      "no-undef": "off",
      eqeqeq: "error",
      "no-implicit-coercion": "error",
      "no-shadow": "error",
      "no-unused-expressions": ["error", { allowShortCircuit: true }],
      "no-unused-private-class-members": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-arrow-callback": "error",
      "prefer-const": "error",
      "prefer-template": "error",
    },
  },
];
