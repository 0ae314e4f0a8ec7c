"""Who is told what happened: webhooks verified by the library of Standard Webhooks, e-mail taken by aiosmtpd; receivers that
are down, refuse, answer too late; a node that dies between; and nothing of a patient unless it is asked for."""

import base64
import http.server
import json
import logging
import os
import ssl
import threading

import aiosmtpd.controller
import aiosmtpd.smtp
import phantom
import settings
from observe import PATIENT, ask, patients, scrape
from standardwebhooks import Webhook
from support import Node, free_port, receive, run, wait, workspace
from tls import Authority

# a client that trusts nobody is what one test is about
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
SECRET = "whsec_" + base64.b64encode(os.urandom(32)).decode()
HTTP = '\n[http]\nlisten = "127.0.0.1:0"\n'


class Receiver:
    """Takes webhooks: `taken` maps each webhook-id to the verified body and how often it came."""

    def __init__(self, port=0, status=204):
        self.taken, self.status, self.faults = {}, status, []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.hear(body, self.headers))
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hear(self, body, headers):
        try:
            Webhook(SECRET).verify(body, dict(headers))
        except Exception as fault:
            self.faults.append(repr(fault))
            return 401
        if self.status < 300:
            name = headers["webhook-id"]
            times = self.taken.get(name, (None, 0))[1]
            self.taken[name] = (json.loads(body), times + 1)
        return self.status

    def of(self, kind):
        return [body for body, _ in self.taken.values() if body["type"] == kind]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Mailbox:
    """Takes e-mail: `messages` holds (sender, recipients, text). `tls`: over STARTTLS, and only after a login."""

    def __init__(self, tls=None):
        self.messages = []
        login = aiosmtpd.smtp.AuthResult(success=True)
        secured = {"tls_context": tls, "require_starttls": True, "auth_required": True,
                   "authenticator": lambda *it: self.login(it[-1], login)} if tls else {}
        self.controller = aiosmtpd.controller.Controller(self, hostname="127.0.0.1", port=free_port(), **secured)
        self.controller.start()
        self.port = self.controller.port

    def login(self, data, result):
        right = (data.login, data.password) == (b"sagittal", b"open sesame")
        return result if right else aiosmtpd.smtp.AuthResult(success=False, handled=False)

    async def handle_DATA(self, server, session, envelope):
        self.messages.append((envelope.mail_from, envelope.rcpt_tos, envelope.content.decode()))
        return "250 taken"

    def close(self):
        self.controller.stop()


def webhook(folder, port, **more):
    secret = folder / "secret"
    secret.write_text(SECRET)
    return {"kind": "webhook", "url": f"http://127.0.0.1:{port}/hook", "secret_file": str(secret)} | more


def email(port, **more):
    return {"kind": "email", "host": "127.0.0.1", "port": port, "security": "none", "every": "0 s",
            "from": "Sagittal <sagittal@hospital.example>", "to": ["desk@hospital.example"]} | more


def site(folder, recipients, rule, destinations=None, start=True):
    destinations = destinations or {"out": {"kind": "folder", "path": str(folder / "out")}}
    texts = settings.files({"ball": "threshold"}, [], destinations)
    texts["node.toml"] += "".join(settings.table(f"notify.{name}", keys) for name, keys in recipients.items()) + HTTP
    texts["rules.toml"] = settings.table("[rule]", {"name": "phantoms", "when": {}, "notify": list(recipients)} | rule)
    return Node(folder / "node", texts, start)


def listed(node, *options):
    return json.loads(node.command("notices", "list", "--json", *options).stdout)


def nobody_named(text):
    assert not (said := [name for name, value in PATIENT.items() if value in text]), f"{said} in {text}"


def test_a_receiver_that_was_down_hears_of_all_after_kill_9():
    """A delivery that is given up, told by both ways to those whom the rule names; the node dies before anybody listens."""
    folder, port = workspace("notices-down"), free_port()
    dead = {"kind": "dicom", "host": "127.0.0.1", "port": free_port(), "ae_title": "DEAD", "confirm": "none", "max_attempts": 1}
    mailbox = Mailbox()
    recipients = {"it": webhook(folder, port), "desk": email(mailbox.port),
                  "others": webhook(folder, port, rules="naming", events=["delivered"])}
    rule = {"pipeline": "ball", "send_to": ["dead"]}
    node, receiver = site(folder, recipients, rule, {"dead": dead}), None
    try:
        receive(node, patients(folder / "series", "down"))
        tried = lambda: [row for row in listed(node, "--untold") if row["recipient"] == "it" and row["attempts"] > 0]
        untold = wait("the receiver is tried in vain", tried)
        assert "127.0.0.1" in untold[0]["last_error"], untold
        assert scrape(node)[0][("sagittal_notices", "due", "it")] == 1
        node.kill()
        receiver = Receiver(port)
        node.start()
        wait("the receiver hears of it", lambda: receiver.taken)
        wait("nothing is untold", lambda: not listed(node, "--untold"))
        assert not receiver.faults, receiver.faults
        (name, (body, _)), = receiver.taken.items()
        assert name == untold[0]["message"] and body["type"] == "job.failed", body
        data = body["data"]
        job = next(job for job in node.jobs() if job["kind"] == "deliver")
        assert (data["job"], data["rule"], data["destination"], data["node"]) == (job["id"], "phantoms", "dead", "SAGITTAL"), data
        assert data["series"] == phantom.uid("down", "series") and "127.0.0.1" in data["reason"], data
        wait("the desk has its mail", lambda: mailbox.messages)
        sender, to, text = mailbox.messages[0]
        assert (sender, to) == ("sagittal@hospital.example", ["desk@hospital.example"]), mailbox.messages
        assert f"Subject: SAGITTAL: job {job['id']}: delivery to dead" in text and name in text, text
        nobody_named(text + json.dumps(body))
        rows = listed(node)
        assert {row["recipient"] for row in rows} == {"it", "desk"} and all(row["told_at"] for row in rows), rows
    finally:
        node.stop()
        mailbox.close()
        if receiver:
            receiver.close()
    nobody_named(node.log())


def test_a_receiver_that_refuses_is_given_up_and_tried_again_by_hand():
    folder, receiver = workspace("notices-refused"), Receiver(status=500)
    recipients = {"it": webhook(folder, receiver.port, max_attempts=1), "all": webhook(
        folder, receiver.port, max_attempts=1, rules="all", events=["failed"])}
    node = site(folder, recipients, {"hold": "look at it first"})
    try:
        receive(node, patients(folder / "series", "held"))
        rows = wait("the notice is given up", lambda: [row for row in listed(node) if row["given_up_at"]])
        assert len(rows) == 1 and "500" in rows[0]["last_error"], rows
        assert scrape(node)[0][("sagittal_notices", "given-up", "it")] == 1
        receiver.status = 200
        node.command("notices", "retry", rows[0]["id"])
        wait("the receiver hears of it", lambda: receiver.of("series.held"))
        held = receiver.of("series.held")[0]["data"]
        assert held["rule"] == "phantoms" and held["reason"] == "look at it first", held
        assert held["series"] == phantom.uid("held", "series") and "patient" not in held, held
        assert node.command("notices", "retry", rows[0]["id"], check=False).returncode == 1, "told already"
    finally:
        node.stop()
        receiver.close()


def test_patients_are_named_where_the_recipient_may_know_them():
    folder, receiver = workspace("notices-patient"), Receiver()
    recipients = {"it": webhook(folder, receiver.port, patient_data=True), "plain": webhook(folder, receiver.port)}
    node = site(folder, recipients, {"pipeline": "ball", "send_to": ["out"]})
    try:
        receive(node, patients(folder / "series", "gap", slices=8, skip=(3,)))
        wait("both were told", lambda: sum(times for _, times in receiver.taken.values()) == 2)
        rows = {row["recipient"]: row["body"] for row in listed(node)}
        expected = {"id": PATIENT["PatientID"], "name": PATIENT["PatientName"], "accession_number": PATIENT["AccessionNumber"]}
        assert rows["it"]["data"]["patient"] == expected, rows
        assert rows["it"]["type"] == "job.failed" and "missing-slices" in rows["it"]["text"], rows
        nobody_named(json.dumps(rows["plain"]) + node.log() + ask(node, "/metrics")[2])
    finally:
        node.stop()
        receiver.close()


def test_mail_goes_over_starttls_with_a_login_and_to_no_stranger():
    folder = workspace("notices-mail")
    hospital, stranger = Authority(folder / "pki", "hospital"), Authority(folder / "elsewhere", "stranger")
    key, certificate = hospital.issue("node")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    mailbox = Mailbox(context)
    password = folder / "password"
    password.write_text("open sesame\n")
    secured = {"security": "starttls", "username": "sagittal", "password_file": str(password)}
    recipients = {"desk": email(mailbox.port, ca=str(hospital.certificate), **secured),
                  "wrong": email(mailbox.port, ca=str(stranger.certificate), **secured)}
    node = site(folder, recipients, {"hold": "why"}, start=False)
    try:
        assert node.command("notices", "test", "desk").stdout == "desk took it\n"
        assert "a trial of [notify.desk]" in mailbox.messages[0][2], mailbox.messages
        refused = node.command("notices", "test", "wrong", check=False)
        assert refused.returncode == 1 and "certificate" in refused.stderr, refused.stderr
        unknown = node.command("notices", "test", "nobody", check=False)
        assert unknown.returncode == 1 and "[notify.nobody]" in unknown.stderr, unknown.stderr
        assert len(mailbox.messages) == 1
    finally:
        mailbox.close()
