import { type ChildProcess, spawn } from "node:child_process";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { constants, existsSync, openSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { within } from "./clock.ts";
import { findFirmware, qemuProgram, vmUnavailable } from "./firmware.ts";
import { chooseMenuEntry, type MenuEntry, readMenu } from "./menu.ts";
import { dieWithParent, runProgram } from "./program.ts";
import { Qmp } from "./qmp.ts";
import { Serial, type SerialMatch } from "./serial.ts";
import { type CommandOptions, type CommandResult, login, runCommand, startCommand } from "./shell.ts";

export interface MachineDisk {
  readonly file: string;
  readonly format: "raw" | "qcow2";
  /** What the guest sees: /dev/vda, vdb … (virtio, the default) or /dev/nvme0n1, nvme1n1 … */
  readonly interface?: "virtio" | "nvme";
  readonly readonly?: boolean;
  /** Writes go to a temporary file of QEMU's and are forgotten at the end. */
  readonly snapshot?: boolean;
}

export interface MachineOptions {
  readonly disks: readonly MachineDisk[];
  /**
   * The machine's EFI variables. Made from the firmware's template when it does not exist; pass it again for the same
   * NVRAM.
   */
  readonly firmwareVars?: string;
  /** Default 1024. */
  readonly memoryMiB?: number;
  /** Direct boot through the firmware's own loader; EFI variables exist all the same. */
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  /** 'user': QEMU's own NAT and DHCP server, with no way in. Default 'none'. */
  readonly network?: "none" | "user";
  /** Receives everything the serial console prints, raw; appended to. */
  readonly serialLog?: string;
  /** End QEMU when the guest reboots. Default: reboots reboot. */
  readonly noReboot?: boolean;
}

/** Seconds for one wait, before scaling: a boot takes 12 s, an OpenRC system to its login prompt 40 s. */
const patience = 90;

/**
 * Switches a machine on. It ends, at the latest, when it is disposed of, when this process exits, or (with util-linux's
 * setpriv) when this process is killed. Throws when QEMU does not start, with what QEMU said.
 */
export async function startMachine(options: MachineOptions): Promise<Machine> {
  const unavailable = vmUnavailable();
  const firmware = findFirmware();
  if (unavailable !== undefined || firmware === undefined) throw new Error(unavailable);
  const folder = await mkdtemp(join(tmpdir(), "firn-vm-"));
  const variables = options.firmwareVars ?? join(folder, "vars.fd");
  if (!existsSync(variables)) await copyFile(firmware.variables, variables);

  const serial = new Serial(options.serialLog);
  const qmp = new Qmp();
  // We listen and QEMU connects: no waiting for a socket to appear.
  const server = createServer((socket) => qmp.attach(socket));
  await listen(server, join(folder, "qmp"));
  await attachSerial(serial, folder);

  const argv = [...dieWithParent(), qemuProgram, ...arguments_(options, { code: firmware.code, variables }, folder)];
  const child = spawn(argv[0] ?? qemuProgram, argv.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  const machine = new Machine({ child, folder, serial, qmp, server });
  try {
    await within(Promise.race([qmp.ready(), machine.ended()]), 30, () => new Error("QEMU does not answer"));
    if (machine.exited) throw new Error("QEMU ended at once");
    return machine;
  } catch (error) {
    await machine[Symbol.asyncDispose]();
    throw new Error(`${argv.join(" ")}\n${String(error)}\n${machine.complaints}`, { cause: error });
  }
}

interface Parts {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly serial: Serial;
  readonly qmp: Qmp;
  readonly server: Server;
}

/** One running virtual machine. `await using machine = await startMachine(…)` ends it with the test. */
export class Machine implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #exit: Promise<void>;
  readonly #onNodeExit: () => void;
  exited = false;
  /** What QEMU itself printed. */
  complaints = "";

  constructor(parts: Parts) {
    this.#parts = parts;
    const { child } = parts;
    const collect = (chunk: Buffer): void => {
      this.complaints += chunk.toString();
    };
    child.stdout?.on("data", collect);
    child.stderr?.on("data", collect);
    this.#onNodeExit = () => child.kill("SIGKILL");
    process.once("exit", this.#onNodeExit);
    this.#exit = new Promise((resolve) => {
      const finish = (reason: string): void => {
        parts.qmp.end(reason);
        void parts.serial.end(reason).then(() => {
          this.exited = true;
          resolve();
        });
      };
      child.on("error", (error) => finish(error.message));
      child.on("close", (code, signal) => finish(`QEMU: ${signal ?? `status ${code}`}`));
    });
  }

  /** Everything the serial console has printed so far, without escape sequences. */
  get text(): string {
    return this.#parts.serial.text;
  }

  /** QEMU's process id. */
  get pid(): number | undefined {
    return this.#parts.child.pid;
  }

  /** Resolves when QEMU is no more. */
  ended(): Promise<void> {
    return this.#exit;
  }

  /**
   * Waits for text on the serial console, from behind the last match on. `text` is what was printed since.
   * Throws, showing the last 40 lines, when it does not appear in time or the machine ends.
   */
  waitFor(wanted: RegExp | string, options: { readonly timeoutSeconds?: number } = {}): Promise<SerialMatch> {
    return this.#parts.serial.waitFor(wanted, options.timeoutSeconds ?? patience);
  }

  /** Types at the serial console. */
  send(text: string): void {
    this.#parts.serial.send(text);
  }

  /** Presses and releases a key of the machine's own keyboard: QEMU's names ('up', 'down', 'ret', 'esc', 'a', …). */
  async key(...names: readonly string[]): Promise<void> {
    const keys = names.map((data) => ({ type: "qcode", data }));
    await this.#parts.qmp.execute("send-key", { keys });
  }

  /** Waits for rEFInd's text menu; returns its entries from the first to the last. */
  menu(options: { readonly timeoutSeconds?: number } = {}): Promise<MenuEntry[]> {
    return readMenu(this.#parts.serial, options.timeoutSeconds ?? patience);
  }

  /** Waits for rEFInd's menu and boots its entry number n, counted from 0. Throws when there is no such entry. */
  chooseMenuEntry(n: number, options: { readonly timeoutSeconds?: number } = {}): Promise<void> {
    return chooseMenuEntry(this.#parts.serial, n, options.timeoutSeconds ?? patience);
  }

  /** Waits for the login prompt and logs in; afterwards `run` works, until the machine reboots or the shell ends. */
  login(user = "root", password?: string, options: { readonly timeoutSeconds?: number } = {}): Promise<void> {
    return login(this.#parts.serial, user, password, options.timeoutSeconds ?? patience);
  }

  /** Runs a shell command in the logged-in session, in a subshell of its own; stdout holds stderr as well. */
  run(command: string, options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand(this.#parts.serial, command, options);
  }

  /** Starts a command and does not wait for it: `reboot`, or anything that is to be cut off. */
  start(command: string): void {
    startCommand(this.#parts.serial, command, {});
  }

  /** Runs a command that must succeed; returns its output. Throws with the output when it does not. */
  async check(command: string, options: CommandOptions = {}): Promise<string> {
    const result = await this.run(command, options);
    if (result.status !== 0) throw new Error(`${command}\nended with status ${result.status}:\n${result.stdout}`);
    return result.stdout;
  }

  /** Cuts the power: QEMU is killed. What the guest wrote to its disks before stays written, flushed or not. */
  async powerCut(): Promise<void> {
    this.#parts.child.kill("SIGKILL");
    await this.#exit;
  }

  /** Presses the reset button. */
  async reset(): Promise<void> {
    this.#parts.serial.screen.clear();
    await this.#parts.qmp.execute("system_reset");
  }

  /** Waits until the guest has switched the machine off. */
  async waitForPowerOff(options: { readonly timeoutSeconds?: number } = {}): Promise<void> {
    const seconds = options.timeoutSeconds ?? patience;
    const last = (): string => this.text.trimEnd().split("\n").slice(-40).join("\n");
    await within(this.#exit, seconds, () => new Error(`no power-off within ${seconds} s; last lines:\n${last()}`));
  }

  /** Saves what the machine's display shows. */
  async screenshot(pngPath: string): Promise<void> {
    await this.#parts.qmp.execute("screendump", { filename: pngPath, format: "png" });
  }

  /** Ends the machine and removes its temporary folder; disks and a given firmwareVars stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.powerCut();
    process.off("exit", this.#onNodeExit);
    this.#parts.server.close();
    await rm(this.#parts.folder, { recursive: true, force: true });
  }
}

function arguments_(options: MachineOptions, firmware: { code: string; variables: string }, folder: string): string[] {
  const argv = ["-nodefaults", "-no-user-config", "-display", "none", "-vga", "std"];
  argv.push("-machine", "q35,smm=off", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2");
  argv.push("-m", String(options.memoryMiB ?? 1024), "-rtc", "base=utc", "-device", "virtio-rng-pci");
  argv.push("-drive", `if=pflash,format=raw,unit=0,readonly=on,file=${escapeCommas(firmware.code)}`);
  argv.push("-drive", `if=pflash,format=raw,unit=1,file=${escapeCommas(firmware.variables)}`);
  argv.push("-chardev", `pipe,id=serial,path=${join(folder, "serial")}`, "-serial", "chardev:serial");
  argv.push("-chardev", `socket,id=qmp,path=${join(folder, "qmp")}`, "-mon", "chardev=qmp,mode=control");
  options.disks.forEach((disk, index) => argv.push(...diskArguments(disk, index)));
  if (options.kernel !== undefined) argv.push("-kernel", options.kernel);
  if (options.initrd !== undefined) argv.push("-initrd", options.initrd);
  if (options.append !== undefined) argv.push("-append", options.append);
  // No option ROM: without it the firmware has nothing to try a network boot with.
  if (options.network === "user") argv.push("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=");
  if (options.noReboot === true) argv.push("-no-reboot");
  return argv;
}

/**
 * No bootindex: with one, QEMU rewrites the firmware's BootOrder at each start, and tests of boot entries would test
 * QEMU.
 */
function diskArguments(disk: MachineDisk, index: number): string[] {
  const id = `disk${index}`;
  const drive = [`if=none,id=${id},format=${disk.format},discard=unmap,file=${escapeCommas(disk.file)}`];
  if (disk.readonly === true) drive.push("readonly=on");
  if (disk.snapshot === true) drive.push("snapshot=on");
  const device = disk.interface === "nvme" ? "nvme" : "virtio-blk-pci";
  return ["-drive", drive.join(","), "-device", `${device},drive=${id},serial=firn-${id}`];
}

/** QEMU reads a comma as the next option unless it is doubled. */
function escapeCommas(path: string): string {
  return path.replaceAll(",", ",,");
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
}

/**
 * The serial line as QEMU's pair of named pipes. A socket would be simpler, but it takes only some 300 single bytes
 * before it is full, and a kernel that finds its UART busy for 10 ms drops characters: seen when this process was kept
 * waiting. A pipe takes 64 KiB.
 */
async function attachSerial(serial: Serial, folder: string): Promise<void> {
  const names = { toGuest: join(folder, "serial.in"), fromGuest: join(folder, "serial.out") };
  await runProgram(["mkfifo", "-m", "600", names.toGuest, names.fromGuest]);
  // Reading needs no writer yet (and sees no end before one has come and gone); writing alone would fail without a
  // reader.
  const flags = constants.O_RDWR | constants.O_NONBLOCK;
  const output = new Socket({
    fd: openSync(names.fromGuest, constants.O_RDONLY | constants.O_NONBLOCK),
    writable: false,
  });
  const input = new Socket({ fd: openSync(names.toGuest, flags), readable: false });
  serial.attach(output, input);
}
