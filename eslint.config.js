import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

const PURE_ROOMS = [
  'src/ca/**/*.ts',
  'src/csr/**/*.ts',
  'src/rotation/**/*.ts',
  'src/identity/**/*.ts',
  'src/fleet/**/*.ts',
];

/** Ways to write code that the house style rules out everywhere. */
const BANNED_SYNTAX = [
  { selector: 'ExportDefaultDeclaration', message: 'Use named exports.' },
  { selector: 'TSEnumDeclaration', message: 'Use a union of strings.' },
  { selector: ':not(TSModuleBlock) > TSInterfaceDeclaration', message: 'Use a type.' },
  { selector: 'TSNonNullExpression', message: 'Narrow the type, or throw a RotundaError.' },
];

/** The time comes in as a Clock, so that tests can jump it. `new Date(value)` only converts, and is allowed. */
const BANNED_TIME = [
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: 'Take the time from the injected Clock.',
  },
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: 'Take the time from the injected Clock.',
  },
];

/** Modules of Node that ca/x509 may use: they compute, and touch nothing outside the process. */
const PURE_NODE_MODULES = ['node:crypto', 'node:buffer', 'node:net', 'node:url', 'node:util'];

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', 'node_modules/', 'bench/results/', 'rotunda-data/'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Extending a library's types wants an interface; BANNED_SYNTAX has the rule for everything else.
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-restricted-syntax': ['error', ...BANNED_SYNTAX],
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    files: PURE_ROOMS,
    rules: { 'no-restricted-syntax': ['error', ...BANNED_SYNTAX, ...BANNED_TIME] },
  },
  {
    files: ['src/ca/x509/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^node:(?!(?:${PURE_NODE_MODULES.map((name) => name.slice('node:'.length)).join('|')})$)`,
              message: 'ca/x509 does no I/O.',
            },
          ],
        },
      ],
    },
  },
  {
    // A suite is one long function by nature, and may be one long file.
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': 'off',
      'no-console': 'off',
      // A helper that says what the JSON of an answer is: `json<Problem>(response)`.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
    },
  },
  {
    files: ['*.config.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: 'module',
      globals: {
        performance: 'readonly',
        process: 'readonly',
        URL: 'readonly',
        console: 'readonly',
        setTimeout: 'readonly',
        setInterval: 'readonly',
        clearInterval: 'readonly',
        module: 'writable',
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: { eqeqeq: 'error', 'prefer-const': 'error', 'no-var': 'error' },
  },
);
