import { run } from "@stricli/core";
import { application } from "./app.ts";
import { catchSignals } from "./host/isolate.ts";
import { rememberProcess } from "./host/lock.ts";
import { commandLine, exit, print, say } from "./host/terminal.ts";
import { exitCodes } from "./model/problem.ts";

const process = { stdout: { write: print }, stderr: { write: say }, exitCode: 0 as number | string | null };

catchSignals();
rememberProcess();
run(application, commandLine(), { process }).then(
  // stricli's codes for a command line that it cannot read are negative; a command that ran has exited by itself.
  () => exit(process.exitCode === 0 ? 0 : exitCodes.E_USAGE),
  (error: unknown) => {
    say(`E_INTERNAL: ${error instanceof Error ? error.message : String(error)}\n`);
    exit(exitCodes.E_INTERNAL);
  },
);
