import { GENERATION_WORDS, type Flag, type Tree, type Verb, type Words } from "./tree.ts";

/** Inside single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** `[`, `]` and `:` end the parts of an _arguments specification. */
function escaped(text: string): string {
  return text.replace(/[\\[\]:]/g, "\\$&");
}

function action(words: Words): string {
  switch (words.kind) {
    case "choice":
      return `(${words.of.join(" ")})`;
    case "file":
      return "_files";
    case "directory":
      return "_files -/";
    case "generation":
      return "_firn_generations";
    case "command":
      return "_command_names -e";
    case "package":
      return "_firn_packages";
    case "none":
      return " ";
    default:
      return words satisfies never;
  }
}

function flagSpec(flag: Flag): string[] {
  const names = flag.short === undefined ? [flag.name] : [flag.short, flag.name];
  return names.map((name) => {
    const others = flag.repeatable ? "*" : names.length > 1 ? `(${names.join(" ")})` : "";
    const value = flag.value === undefined ? "" : `:${escaped(flag.name.slice(2))}:${action(flag.value)}`;
    // "+" and "=": the value is the next word, or follows at once.
    const joint = flag.value === undefined ? "" : name.startsWith("--") ? "=" : "+";
    return quoted(`${others}${name}${joint}[${escaped(flag.brief)}]${value}`);
  });
}

function argumentSpecs({ arguments: list, variadic }: Verb): string[] {
  return list.map(({ name, words }, i) => {
    const many = variadic && i === list.length - 1 ? "*" : "";
    return quoted(`${many}:${escaped(name)}:${action(words)}`);
  });
}

function verbCase(verb: Verb): string {
  const specs = [...verb.flags.flatMap(flagSpec), ...argumentSpecs(verb)];
  return `    ${verb.path.at(-1)})\n      _arguments -s \\\n${specs.map((spec) => `        ${spec}`).join(" \\\n")}\n      ;;`;
}

function functionName(path: readonly string[]): string {
  return ["_firn", ...path].join("_");
}

function groupFunction(tree: Tree, path: readonly string[]): string {
  const inside = (one: { path: readonly string[] }) =>
    one.path.length === path.length + 1 && path.every((word, i) => one.path[i] === word);
  const verbs = tree.verbs.filter(inside);
  const groups = tree.groups.filter(inside);
  const entries = [...verbs, ...groups].map(({ path: names, brief }) =>
    quoted(`${names.at(-1)}:${brief.replaceAll(":", "\\:")}`),
  );
  const version = path.length === 0 ? " '(-v --version)'{-v,--version}'[Print the version and exit]'" : "";
  return `${functionName(path)}() {
  local curcontext=$curcontext state line
  local -a commands
  commands=(
${entries.map((entry) => `    ${entry}`).join("\n")}
  )
  _arguments -C '(-h --help)'{-h,--help}'[Print help and exit]'${version} '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands; return ;;
    argument) ;;
    *) return ;;
  esac
  curcontext=\${curcontext%:*:*}:${["firn", ...path].join("-")}-$line[1]:
  case $line[1] in
${[...verbs.map(verbCase), ...groups.map((group) => `    ${group.path.at(-1)}) ${functionName(group.path)} ;;`)].join("\n")}
  esac
}`;
}

/** The completion for zsh: the file `_firn` of a folder in $fpath. */
export function zshCompletion(tree: Tree): string {
  return `#compdef firn
# zsh completion for firn, made from its command tree.

_firn_generations() {
  local -a ids volume
  local at=\${words[(i)--volume]}
  (( at < CURRENT - 1 )) && volume=(--volume "\${(Q)words[at + 1]}")
  # Looking into a volume takes root.
  (( EUID == 0 )) && ids=(\${(f)"$(firn list --json $volume 2>/dev/null | grep -o '"id":"[^"]*"' | cut -d '"' -f 4)"})
  compadd "$@" -- ${GENERATION_WORDS.join(" ")} $ids
}

_firn_packages() {
  local -a packages
  [[ -r /etc/apk/world ]] && packages=(\${(f)"$(</etc/apk/world)"})
  compadd "$@" -- $packages
}

${[[], ...tree.groups.map(({ path }) => path)].map((path) => groupFunction(tree, path)).join("\n\n")}

# Loaded by compinit this file is the function's body; sourced, it only defines it.
if [[ $funcstack[1] == _firn ]]; then
  _firn "$@"
else
  compdef _firn firn
fi
`;
}
