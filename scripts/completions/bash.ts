import { GENERATION_WORDS, valueFlags, type Tree, type Verb, type Words } from "./tree.ts";

/** One line of the list that `_firn_words` takes: how the shell comes by the words of a kind. */
function source(words: Words): string {
  return words.kind === "choice" ? `choice ${words.of.join(" ")}` : words.kind;
}

function key(path: readonly string[]): string {
  return `'${path.join(" ")}'`;
}

/** The last argument of a variadic verb stands for all that follow. */
function argumentCases({ path, arguments: list, variadic }: Verb): string[] {
  return list.map(({ words }, i) => {
    const number = variadic && i === list.length - 1 ? "*" : String(i);
    return `    '${path.join(" ")} '${number}) echo '${source(words)}' ;;`;
  });
}

/** The completion for bash 4 and later; needs none of bash-completion's functions. */
export function bashCompletion(tree: Tree): string {
  const below = (path: readonly string[]): string =>
    [...tree.verbs, ...tree.groups]
      .filter((one) => one.path.length === path.length + 1 && path.every((word, i) => one.path[i] === word))
      .map((one) => one.path.at(-1)!)
      .join(" ");
  return `# bash completion for firn, made from its command tree.

_firn_below() {
  case $1 in
    '') echo '${below([])}' ;;
${tree.groups.map(({ path }) => `    ${key(path)}) echo '${below(path)}' ;;`).join("\n")}
  esac
}

_firn_flags() {
  case $1 in
    '') echo '-h --help -v --version' ;;
${tree.verbs.map(({ path, flags }) => `    ${key(path)}) echo '${flags.flatMap(({ name, short }) => (short === undefined ? [name] : [short, name])).join(" ")}' ;;`).join("\n")}
    *) echo '-h --help' ;;
  esac
}

# What a flag's value is; fails for a flag that takes none.
_firn_value() {
  case $1 in
${[...valueFlags(tree)].map(([name, words]) => `    ${name}) echo '${source(words)}' ;;`).join("\n")}
    *) return 1 ;;
  esac
}

# What the argument with this number is, counted from 0.
_firn_argument() {
  case "$1 $2" in
${tree.verbs.flatMap(argumentCases).join("\n")}
  esac
}

# Looking into a volume takes root. The volume on the command line is the one to look into.
_firn_generations() {
  echo '${GENERATION_WORDS.join(" ")}'
  [ "$EUID" = 0 ] || return 0
  firn list --json "$@" 2>/dev/null | grep -o '"id":"[^"]*"' | cut -d '"' -f 4
}

_firn_reply() {
  local cur=$1 kind=$2
  shift 2
  case $kind in
    choice) mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur") ;;
    generation) mapfile -t COMPREPLY < <(compgen -W "$(_firn_generations "\${volume[@]}")" -- "$cur") ;;
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    command) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
    package) mapfile -t COMPREPLY < <(compgen -W "$(cat /etc/apk/world 2>/dev/null)" -- "$cur") ;;
  esac
}

_firn() {
  local cur=\${COMP_WORDS[COMP_CWORD]} verb= argument=0 rest= flag= i word
  local -a volume=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [ -n "$flag" ]; then
      # bash takes "=" for a word of its own.
      [ "$word" = = ] && continue
      [ "$flag" = --volume ] && volume=(--volume "$word")
      flag=
    elif [ -z "$rest" ] && [ "$word" = -- ]; then
      rest=1
    elif [ -z "$rest" ] && [[ $word == -* ]]; then
      _firn_value "$word" >/dev/null && flag=$word
    elif [ -n "$(_firn_below "$verb")" ]; then
      verb=\${verb:+$verb }$word
    else
      argument=$((argument + 1))
    fi
  done
  [ "$cur" = = ] && [ -n "$flag" ] && cur=
  if [ -n "$flag" ]; then
    _firn_reply "$cur" $(_firn_value "$flag")
  elif [ -z "$rest" ] && [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_firn_flags "$verb")" -- "$cur")
  elif [ -n "$(_firn_below "$verb")" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_firn_below "$verb")" -- "$cur")
  else
    _firn_reply "$cur" $(_firn_argument "$verb" "$argument")
  fi
}

complete -F _firn firn
`;
}
