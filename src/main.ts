import { run } from "@stricli/core";
import { application, withOwnWords } from "./app.ts";
import { catchSignals } from "./host/kernel/process.ts";
import { rememberProcess } from "./host/kernel/lock.ts";
import { commandLine } from "./host/kernel/process.ts";
import { fail, finish } from "./report/finish.ts";

const words = withOwnWords(commandLine());
let help = "";
let complaint = "";
const process = {
  stdout: { write: (text: string) => void (help += text) },
  stderr: { write: (text: string) => void (complaint += text) },
  exitCode: null as number | string | null,
};

/**
 * A command that ran has printed its answer and exited by itself; what is left is help, or words that stricli cannot
 * read.
 */
function end(): void {
  if (process.exitCode === 0) return finish({}, () => ({ data: help, lines: help.trimEnd().split("\n") }));
  const own = words.indexOf("--");
  const json = words.slice(0, own < 0 ? undefined : own).includes("--json");
  fail(
    { code: "E_USAGE", message: complaint.trim(), hint: "`firn --help` and `firn COMMAND --help` show what there is." },
    json,
  );
}

catchSignals();
rememberProcess();
run(application, words, { process }).then(end, (error: unknown) => {
  fail({ code: "E_INTERNAL", message: error instanceof Error ? error.message : String(error) }, false);
});
