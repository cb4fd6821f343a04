import { GENERATION_WORDS, valueFlags, type Tree, type Words } from "./tree.ts";

/** Inside fish's single quotes only `\` and `'` mean something. */
function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}

/** `-f` forbids file names, `-F` brings them back, `-r` demands a value. */
function offer(words: Words): string {
  switch (words.kind) {
    case "choice":
      return `-f -a ${quoted(words.of.join(" "))}`;
    case "file":
      return "-F";
    case "directory":
      return "-f -a '(__fish_complete_directories)'";
    case "generation":
      return "-f -a '(__firn_generations)'";
    case "command":
      return "-f -a '(__fish_complete_command)'";
    case "package":
      return "-f -a '(cat /etc/apk/world 2>/dev/null)'";
    case "none":
      return "-f";
    default:
      return words satisfies never;
  }
}

/** The completion for fish 3 and later. */
export function fishCompletion(tree: Tree): string {
  const groups = tree.groups.map(({ path }) => path.join(" "));
  const lines: string[] = [];
  const add = (condition: string, rest: string) => lines.push(`complete -c firn -n ${quoted(condition)} ${rest}`);
  for (const { path, brief } of [...tree.verbs, ...tree.groups]) {
    const above = path.slice(0, -1).join(" ");
    add(`__firn_at ${quoted(above)} 0`, `-f -a ${quoted(path.at(-1)!)} -d ${quoted(brief)}`);
  }
  add("__firn_at '' 0", "-f -s v -l version -d 'Print the version and exit'");
  for (const { path, flags, arguments: list, variadic } of tree.verbs) {
    const at = `__firn_at ${quoted(path.join(" "))}`;
    for (const { name, short, brief, value } of flags) {
      const spelling = `${short === undefined ? "" : `-s ${short.slice(1)} `}-l ${name.slice(2)}`;
      add(at, `${spelling}${value === undefined ? "" : ` -r ${offer(value)}`} -d ${quoted(brief)}`);
    }
    list.forEach(({ words }, i) => {
      const number = variadic && i === list.length - 1 ? `${i}-` : String(i);
      add(`${at} ${number}`, offer(words));
    });
  }
  return `# fish completion for firn, made from its command tree.

# __firn_at COMMAND [N|N-]: whether the words before the cursor are this command with N arguments (N or more).
function __firn_at
    set -l words (commandline -opc)
    set -l verb
    set -l arguments 0
    set -l flag
    set -l rest
    for word in $words[2..-1]
        if test -n "$flag"
            set flag
        else if test -z "$rest"; and test "$word" = --
            set rest 1
        else if test -z "$rest"; and string match -q -- '-*' $word
            contains -- $word ${[...valueFlags(tree).keys()].join(" ")}; and set flag $word
        else if test -z "$verb"; or contains -- "$verb" ${groups.map(quoted).join(" ")}
            set -a verb $word
            set verb (string join ' ' $verb)
        else
            set arguments (math $arguments + 1)
        end
    end
    test "$verb" = "$argv[1]"; or return 1
    switch "$argv[2]"
        case ''
            return 0
        case '*-'
            test $arguments -ge (string replace - '' $argv[2])
        case '*'
            test $arguments -eq $argv[2]
    end
end

# Looking into a volume takes root. The volume on the command line is the one to look into.
function __firn_generations
    string split ' ' '${GENERATION_WORDS.join(" ")}'
    test (id -u) = 0; or return 0
    set -l words (commandline -opc)
    set -l volume
    set -l at (contains -i -- --volume $words); and set volume --volume $words[(math $at + 1)]
    firn list --json $volume 2>/dev/null | grep -o '"id":"[^"]*"' | cut -d '"' -f 4
end

complete -c firn -f
complete -c firn -s h -l help -d 'Print help and exit'
${lines.join("\n")}
`;
}
