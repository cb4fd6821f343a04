/** A failure is called what it is: the network, the disk and memory are no fault of a signature or a mirror. */
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { alpineMirror } from "../../fixtures/fixtures.ts";
import { firnBehind } from "../../kit/firn.ts";
import { assertRefused, assertUntouched } from "../../kit/refused.ts";
import { requires } from "../../kit/requires.ts";
import { traced } from "../../kit/trace.ts";
import { answer, attempt, commandLine, run, succeeded } from "../../kit/verbs.ts";
import { assertWhole } from "../../kit/volume.ts";
import { ownWorld } from "../../kit/world.ts";

describe("which failure it was", { skip: requires("root", "loop", "mirror", "strace") }, () => {
  const world = ownWorld();
  let server: Server;
  let url = "";

  before(async () => {
    server = createServer((request, response) => {
      if (request.url?.startsWith("/login")) return response.writeHead(200).end("<html>Log in first</html>");
      const file = join(alpineMirror, request.url ?? "");
      if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return response.writeHead(404).end();
      const bytes = readFileSync(file);
      return response.writeHead(200, { "content-length": bytes.length }).end(bytes);
    });
    await new Promise<void>((go) => server.listen(0, "127.0.0.1", go));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  test("a mirror to which there is no way is a mirror that cannot be reached, not a signature", async () => {
    const image = await world.image();
    const args = ["upgrade", "--volume", image, "-X", "http://192.0.2.1/alpine"];
    const ran = await firnBehind(":", args, ["unshare", "--net"]);
    assertUntouched(ran, { code: "E_MIRROR", message: /192\.0\.2\.1.*unreachable/, hint: /network/ });
    // What does come, and is no index, is one.
    const login = await run(image, "upgrade", "-X", `${url}/login`);
    assertUntouched(login, { code: "E_SIGNATURE", message: /\/login: the index is damaged/ });
  });

  test("a full disk is called that, with what could go, when a mirror's index cannot be kept on it", async () => {
    const image = await world.image();
    succeeded(await run(image, "run", "--", "touch", "/etc/second"));
    const { space } = await answer<{ space: { free: number } }>(image, "status");
    const last = ["1M", "64k", "4k"].map((size) => `dd if=/dev/urandom of=/var/tmp/${size} bs=${size}; sync`);
    const fill = [`fallocate -l ${space.free - 50 * 2 ** 20} /var/tmp/fill`, ...last].join("; ");
    await attempt(image, "run", "--", "sh", "-c", fill);
    const ran = await run(image, "upgrade", "-X", `${url}/v3.19.1`, "-X", `${url}/v3.19.4`);
    assertRefused(ran, { code: "E_NO_SPACE", message: /This needs .* are free/ });
    assertWhole(image);
  });

  test("a name below the volume that cannot be made is a failure of the volume, whatever stands in the way", async () => {
    const image = await world.image();
    for (const [error, code, hint] of [
      ["ENOSPC", "E_NO_SPACE", /firn gc/],
      ["EROFS", "E_VOLUME_READONLY", /^/],
      ["EPERM", "E_FILE", /lsattr/],
    ] as const) {
      const inject = `mkdirat:error=${error}:when=1+`;
      const ran = await traced(commandLine(image, "run", "--", "touch", "/etc/x"), "mkdirat", inject);
      assertUntouched(ran, { code, message: /mkdirat snapshots/, hint });
    }
  });

  test("a helper that was killed is no bad signature", async () => {
    const image = await world.image();
    const killed = join(world.folder, "killed");
    writeFileSync(killed, "#!/bin/sh\nkill -9 $$\n", { mode: 0o755 });
    const args = ["upgrade", "--volume", image, "-X", join(alpineMirror, "v3.19.4")];
    const ran = await firnBehind(`mount --bind ${killed} "$(readlink -f "$(command -v gzip)")"`, args);
    assertUntouched(ran, { code: "E_PROGRAM_FAILED", message: /`gzip -t .*exit code 137/ });
  });

  test("a /run that is full or read-only is not the volume: gc is of no use there", async () => {
    const image = await world.image();
    const args = ["upgrade", "--volume", image, "-X", join(alpineMirror, "v3.19.4")];
    const full = "mount -t tmpfs -o size=64k firn /run; dd if=/dev/zero of=/run/fill bs=4k status=none || true";
    const ran = await firnBehind(full, args);
    assert.doesNotMatch(ran.stderr, /firn gc|E_VOLUME_READONLY/);
    assert.match(ran.stderr, /^E_[A-Z_]+: .*\/run/m);
    const readonly = await firnBehind("mount -t tmpfs -o ro firn /run", args);
    assert.doesNotMatch(readonly.stderr, /firn gc|E_VOLUME_READONLY/);
    assert.match(readonly.stderr, /^E_[A-Z_]+: .*\/run/m);
    assertWhole(image);
  });
});
