/** What eslint expects of the page's modules; undefined names are left to the type checker. */

import js from "@eslint/js";

const VIEWS = ["live", "map", "calibrate", "recordings", "boards"];

/** A folder of the page whose modules may not import what the patterns match. */
const folder = (name, ...patterns) => ({
  files: [`host/web/${name}/*.js`],
  rules: { "no-restricted-imports": ["error", { patterns }] },
});

export default [
  js.configs.recommended,
  folder("lib", "../net/*", "../shell/*", "../views/*"),
  folder("net", "../lib/*", "../shell/*", "../views/*"),
  ...VIEWS.map((view) => folder(
    `views/${view}`, "../../shell/*", ...VIEWS.filter((other) => other !== view).map((other) => `../${other}/*`),
  )),
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
