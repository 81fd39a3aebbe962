"""Kamailio as a PBX: a telephone registers with a digest and has an extension; other numbers go to
a gateway, after a challenge by 407. It records its route.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from front import kamailio
from program import HOST, Program, found, free_ports, listens

CONFIG = """\
#!KAMAILIO
debug=1
log_stderror=yes
children=2
disable_tcp=yes
auto_aliases=no
listen=udp:{host}:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "xlog.so"
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "auth_checks_register", 9)
modparam("auth", "qop", "auth")
modparam("auth", "nonce_count", 1)
modparam("registrar", "max_expires", {most_s})
modparam("registrar", "default_expires", {most_s})
modparam("usrloc", "db_mode", 0)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (is_method("REGISTER")) {{
        xlog("L_ALERT", "REGISTERS $fU expires $hdr(Expires)\\n");
        if (!pv_www_authenticate("pbx", "{password}", "0")) {{
            www_challenge("pbx", "1");
            exit;
        }}
        $var(asked) = $(hdr(Expires){{s.int}});
        if ($var(asked) > 0 && $var(asked) < {least_s}) {{
            append_to_reply("Min-Expires: {least_s}\r\n");
            sl_send_reply("423", "Interval Too Brief");
            exit;
        }}
        if (!save("location")) sl_reply_error();
        exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
    if ($rU != "{extension}" && !pv_proxy_authenticate("pbx", "{password}", "0")) {{
        xlog("L_ALERT", "CHALLENGES $fU\\n");
        proxy_challenge("pbx", "1");
        exit;
    }}
    consume_credentials();
    record_route();
    if ($rU == "{extension}") {{
        $rU = "{user}";
        if (!lookup("location")) {{ sl_send_reply("480", "Not registered"); exit; }}
        t_relay();
        exit;
    }}
    $du = "sip:{host}:{gateway}";
    t_relay();
}}
"""


@dataclass
class Pbx:
    """A running one."""

    program: Program
    port: int

    def registers(self) -> list[str]:
        """The `Expires` of each REGISTER that came, answers to challenges too."""
        return re.findall(r"REGISTERS \S+ expires (\S+)", self.program.said())

    def challenges(self) -> int:
        """How often a caller was asked who he is."""
        return self.program.said().count("CHALLENGES")


@asynccontextmanager
async def pbx(
    folder: Path,
    *,
    gateway: int,
    user: str = "bot",
    extension: str = "100",
    password: str = "s3cret",
    algorithm: str = "MD5",
    least_s: int = 0,
    most_s: int = 600,
) -> AsyncIterator[Pbx]:
    """Calls to `extension` go to `user`'s contact, others to `gateway`."""
    path = found("kamailio", "kamailio")
    port = free_ports()
    home = folder / f"pbx-{port}"
    home.mkdir()
    config = home / "kamailio.cfg"
    config.write_text(
        CONFIG.format(
            host=HOST, port=port, gateway=gateway, user=user, password=password,
            extension=extension,
            algorithm=algorithm, least_s=least_s, most_s=most_s,
        )
    )  # fmt: skip
    program = kamailio(path, config, dict(os.environ))
    program.start()
    try:
        await program.until(lambda: listens(port))
        yield Pbx(program, port)
    finally:
        await program.stop()
