"""Who gets in, what they see, and that nothing that rotates loses an event.

Certificates and tokens are made on the spot, by openssl.
"""

import base64
import hashlib
import http.client
import json
import pathlib
import secrets
import socket
import ssl
import subprocess
import threading
import time

import grpc
import harness
from harness import api, api_grpc

ISSUER = "https://issuer.example"
AUDIENCE = "waggle"
SUBJECT = "system:serviceaccount:payroll:worker"
NAME = "Ottoline Quarterwhistle"
EMAIL = "ottoline.quarterwhistle@private.example"


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *map(str, args)], input=stdin, check=True,
                          capture_output=True).stdout


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, directory, name="Test CA"):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        self.key = directory / "ca.key"
        self.certificate = directory / "ca.crt"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out",
                self.certificate, "-subj", f"/CN={name}", "-days", "2")

    def issue(self, name, sans="DNS:localhost,IP:127.0.0.1", dates=None):
        """Returns the paths of a certificate and its key.

        `dates` are the first and last second, as openssl writes them.
        """
        stem = self.directory / f"{name}-{secrets.token_hex(4)}"
        key, request, certificate = (stem.with_suffix(suffix)
                                     for suffix in (".key", ".csr", ".crt"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        extensions = stem.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={sans}\n" if sans else "")
        if dates is None:
            openssl("x509", "-req", "-in", request, "-CA", self.certificate,
                    "-CAkey", self.key, "-CAcreateserial", "-out", certificate,
                    "-days", "2", "-extfile", extensions)
        else:
            # Only `openssl ca` takes a start and an end.
            work = stem.with_suffix(".ca")
            work.mkdir()
            (work / "index.txt").touch()
            (work / "ca.cnf").write_text(
                "[ca]\ndefault_ca=d\n[d]\n"
                f"database={work}/index.txt\nnew_certs_dir={work}\n"
                "rand_serial=yes\ndefault_md=sha256\npolicy=p\n"
                "[p]\ncommonName=supplied\n")
            openssl("ca", "-batch", "-config", work / "ca.cnf", "-in", request,
                    "-cert", self.certificate, "-keyfile", self.key, "-out",
                    certificate, "-startdate", dates[0], "-enddate", dates[1],
                    "-extfile", extensions, "-notext")
        key.chmod(0o600)
        return certificate, key


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs JSON Web Tokens with RS256."""

    def __init__(self, directory, kid):
        self.kid = kid
        self.key = directory / f"{kid}.pem"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt",
                "rsa_keygen_bits:2048", "-out", self.key)
        text = openssl("rsa", "-in", self.key, "-noout", "-modulus").decode()
        modulus = bytes.fromhex(text.strip().split("=")[1])
        self.jwk = {"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
                    "n": b64(modulus), "e": "AQAB"}

    def token(self, **claims):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": [AUDIENCE], "sub": SUBJECT,
                  "exp": now + 3600, "iat": now, **claims}
        head = {"alg": "RS256", "typ": "JWT", "kid": self.kid}
        signed = ".".join(b64(json.dumps(part).encode())
                          for part in (head, claims))
        signature = openssl("dgst", "-sha256", "-sign", self.key,
                            stdin=signed.encode())
        return f"{signed}.{b64(signature)}"


def write(path, content, mode=0o600):
    """Replaces a file at once, as a careful operator does."""
    if isinstance(content, str):
        content = content.encode()
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.chmod(mode)
    new.rename(path)


def bearer(token):
    return (("authorization", f"Bearer {token}"),)


def personal_body(number):
    body = json.loads(harness.employee_body(number))
    body["connector"]["end_user_name"] = NAME
    body["connector"]["end_user_email"] = EMAIL
    return json.dumps(body).encode()


class SecureGateway:
    """A gateway with everything that keeps strangers out, and its files."""

    def __init__(self, test, name="secure", config=None, client_ca=None):
        self.directory = test.directory / f"{name}-files"
        self.directory.mkdir()
        self.authority = Authority(self.directory / "ca")
        self.issuer = Issuer(self.directory, "first")
        self.token = secrets.token_urlsafe(32)
        self.admin_token = secrets.token_urlsafe(32)
        self.key_files = [self.directory / f"signing-{n}.key" for n in (0, 1)]
        for path in self.key_files:
            write(path, harness.KEY)
        self.access = {"principals": [
            {"name": "full",
             "token_sha256": [self.digest(self.token)],
             "jwt_subjects": [SUBJECT],
             "tls_identities": ["spiffe://test/full", "dns:full.test",
                                "cn:client"],
             "allow": {}, "capabilities": ["personal_data", "raw_payload"]},
            {"name": "ops", "token_sha256": [self.digest(self.admin_token)],
             "capabilities": ["admin"]},
        ]}
        self.access_file = self.directory / "access.yaml"
        self.write_access()
        self.jwks_file = self.directory / "jwks.json"
        self.write_jwks(self.issuer)
        self.certificate = self.directory / "tls.crt"
        self.certificate_key = self.directory / "tls.key"
        self.write_certificate()
        tls = {"certificate_file": str(self.certificate),
               "key_file": str(self.certificate_key)}
        grpc_tls = dict(tls)
        self.client_ca_file = self.directory / "client-ca.crt"
        write(self.client_ca_file, self.authority.certificate.read_bytes())
        if client_ca is not None:
            grpc_tls.update(client_ca_file=str(self.client_ca_file),
                            client_certificates=client_ca)
        settings = {
            "webhook": {"tls": tls, "endpoints": [
                {"name": "bindbee",
                 "signing_key_files": [str(f) for f in self.key_files]}]},
            "grpc": {"tls": grpc_tls},
            "security": {"access_file": str(self.access_file),
                         "jwt": {"jwks_file": str(self.jwks_file),
                                 "issuer": ISSUER, "audience": AUDIENCE}},
        }
        for section, values in (config or {}).items():
            settings.setdefault(section, {}).update(values)
        self.gateway = test.gateway(name, config=settings).start()

    @staticmethod
    def digest(token):
        return hashlib.sha256(token.encode()).hexdigest()

    def write_access(self):
        write(self.access_file, json.dumps(self.access))

    def write_jwks(self, *issuers):
        write(self.jwks_file, json.dumps({"keys": [i.jwk for i in issuers]}))

    def write_certificate(self):
        certificate, key = self.authority.issue("gateway")
        # Two files cannot change at once; the gateway passes over the moment in
        # which they do not belong together.
        write(self.certificate, certificate.read_bytes())
        write(self.certificate_key, key.read_bytes())

    def reloads(self, files):
        """How often the gateway said that it read these files anew."""
        return sum(entry.get("event") == "reloaded" and
                   entry.get("files") == files
                   for entry in self.gateway.log_objects())

    def wait_for_reload(self, files, count=1):
        harness.wait_until(lambda: self.reloads(files) >= count,
                           f"reload {count} of {files}")

    def tls_context(self):
        return ssl.create_default_context(cafile=self.authority.certificate)

    def connect(self):
        host, port = self.gateway.addresses["webhook"].rsplit(":", 1)
        return http.client.HTTPSConnection(host, int(port),
                                           timeout=harness.PATIENCE,
                                           context=self.tls_context())

    def post(self, body, key=harness.KEY, connection=None):
        own = connection is None
        connection = connection or self.connect()
        try:
            return self.gateway.post(body, key=key, connection=connection)
        finally:
            if own:
                connection.close()

    def channel(self, identity=None):
        certificate = {}
        if identity is not None:
            path, key = self.authority.issue("client", sans=identity)
            certificate = {"certificate_chain": path.read_bytes(),
                           "private_key": key.read_bytes()}
        credentials = grpc.ssl_channel_credentials(
            self.authority.certificate.read_bytes(), **certificate)
        return grpc.secure_channel(
            self.gateway.addresses["grpc"], credentials,
            options=[("grpc.use_local_subchannel_pool", 1),
                     ("grpc.enable_http_proxy", 0)])

    def stub(self, identity=None):
        return api_grpc.EventServiceStub(self.channel(identity))


def list_problem(stub, metadata=None):
    """The error of a ListEvents, or None."""
    try:
        stub.ListEvents(api.ListEventsRequest(), metadata=metadata,
                        timeout=harness.PATIENCE)
    except grpc.RpcError as error:
        return harness.Problem(error)
    return None


def frame(kind, flags, stream, payload):
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) +
            stream.to_bytes(4, "big") + payload)


# With the client's SETTINGS.
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")


def http2_head(te):
    """The header block of a Subscribe call, with this value of `te`."""
    return b"".join(
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in (
            (b":method", b"POST"), (b":scheme", b"http"),
            (b":path", b"/waggle.v1.EventService/Subscribe"),
            (b":authority", b"x"), (b"content-type", b"application/grpc"),
            (b"te", te)))


class SecurityTest(harness.TestCase):

    def assert_problem(self, problem, code, reason):
        self.assertIsNotNone(problem)
        self.assertEqual((problem.code, problem.reason), (code, reason),
                         str(problem))

    def test_everybody_is_known_by_what_they_show(self):
        secure = SecureGateway(self, client_ca="optional")
        self.assertEqual(secure.post(harness.employee_body(1))[0], 200)
        stub = secure.stub()
        denied = grpc.StatusCode.PERMISSION_DENIED
        nobody = grpc.StatusCode.UNAUTHENTICATED
        self.assert_problem(list_problem(stub), nobody, "CREDENTIALS_MISSING")
        for shown in "Bearer wrong", "Basic d2U6YXJl", "Bearer ", "wrong":
            self.assert_problem(
                list_problem(stub, (("authorization", shown),)), nobody,
                "CREDENTIALS_INVALID")
        self.assert_problem(
            list_problem(stub, bearer(secure.token) * 2), nobody,
            "CREDENTIALS_INVALID")
        issuer = secure.issuer
        stranger = Issuer(self.directory, "first")
        for token in (issuer.token(exp=int(time.time()) - 3600),
                      issuer.token(iss="https://other.example"),
                      issuer.token(aud="other"), stranger.token()):
            self.assert_problem(list_problem(stub, bearer(token)), nobody,
                                "CREDENTIALS_INVALID")
        self.assert_problem(
            list_problem(stub, bearer(issuer.token(sub="somebody"))), denied,
            "PRINCIPAL_UNKNOWN")
        self.assert_problem(list_problem(stub, bearer(secure.admin_token)),
                            denied, "RIGHT_MISSING")
        # A certificate is known by its URI, else by its DNS names, else by its
        # common name, which is "client"; never by a lesser one.
        for names in ("DNS:other", "URI:spiffe://test/other,DNS:full.test",
                      "URI:spiffe://test/other",
                      "URI:https://test/other,DNS:full.test",
                      "URI:spiffe://test/full,URI:spiffe://test/other"):
            self.assert_problem(list_problem(secure.stub(names)), denied,
                                "PRINCIPAL_UNKNOWN")
        for known, metadata in ((stub, bearer(secure.token)),
                                (stub, bearer(issuer.token())),
                                (secure.stub("URI:spiffe://test/full"), None),
                                (secure.stub("DNS:other,DNS:full.test"), None),
                                (secure.stub("IP:127.0.0.1"), None)):
            self.assertIsNone(list_problem(known, metadata))
        # A token that is shown counts, whatever the certificate.
        self.assert_problem(
            list_problem(secure.stub("URI:spiffe://test/full"),
                         bearer("wrong")), nobody, "CREDENTIALS_INVALID")

    def test_rights_bound_what_is_seen(self):
        secure = SecureGateway(self)
        secure.access["principals"].append(
            {"name": "narrow", "token_sha256": [secure.digest("narrow")],
             "allow": {"origin_ids": ["tenant_1"]}})
        secure.write_access()
        secure.wait_for_reload("access")
        for number in range(10):
            self.assertEqual(secure.post(personal_body(number))[0], 200)
        stub = secure.stub()
        narrow = {"metadata": bearer("narrow"), "timeout": harness.PATIENCE}
        page = stub.ListEvents(api.ListEventsRequest(), **narrow)
        self.assertEqual([event.connector.origin_id for event in page.events],
                         ["tenant_1"])
        self.assertNotIn(NAME.encode(), page.SerializeToString())
        self.assertNotIn(EMAIL.encode(), page.SerializeToString())
        full = stub.ListEvents(api.ListEventsRequest(),
                               metadata=bearer(secure.token))
        self.assertEqual(len(full.events), 10)
        self.assertEqual(full.events[0].connector.end_user_email, EMAIL)

        def refusal(**request):
            return harness.problem_of(lambda: stub.Subscribe(
                api.SubscribeRequest(**request), **narrow))

        denied = grpc.StatusCode.PERMISSION_DENIED
        for request, right in (
                ({"filters": [{"origin_ids": ["tenant_2"]}]}, "origin_ids"),
                ({"filters": [{"types": [1]}]}, "origin_ids"),
                ({"include_payload": True}, "raw_payload")):
            problem = refusal(**request)
            self.assert_problem(problem, denied, "RIGHT_MISSING")
            self.assertEqual(problem.info.metadata["right"], right)
        stream = stub.Subscribe(api.SubscribeRequest(
            position=api.START_POSITION_EARLIEST, stop_when_caught_up=True),
            **narrow)
        seen = [event for response in stream for event in response.events]
        self.assertEqual(len(seen), 1)
        self.assertNotIn(NAME.encode(), seen[0].SerializeToString())

    def test_rights_that_shrink_end_streams_within_five_seconds(self):
        secure = SecureGateway(self)
        full = secure.access["principals"][0]
        stub = secure.stub()
        calls = [stub.Subscribe(api.SubscribeRequest(), timeout=harness.PATIENCE,
                                metadata=bearer(secure.token)),
                 stub.Subscribe(api.SubscribeRequest(include_payload=True),
                                timeout=harness.PATIENCE,
                                metadata=bearer(secure.token))]
        for call in calls:
            next(call)
        full["capabilities"] = ["personal_data"]
        secure.write_access()
        began = time.monotonic()
        self.assert_problem(harness.problem_of(lambda: calls[1]),
                            grpc.StatusCode.PERMISSION_DENIED, "RIGHT_MISSING")
        self.assertLess(time.monotonic() - began, 5)
        # The other one did not ask for what was taken away.
        self.assertEqual(secure.post(harness.employee_body(1))[0], 200)
        while not next(calls[0]).events:
            pass
        full["token_sha256"] = [secure.digest("another")]
        secure.write_access()
        began = time.monotonic()
        self.assert_problem(harness.problem_of(lambda: calls[0]),
                            grpc.StatusCode.UNAUTHENTICATED,
                            "CREDENTIALS_INVALID")
        self.assertLess(time.monotonic() - began, 5)

    def test_everything_rotates_under_load_and_nothing_is_lost(self):
        secure = SecureGateway(self)
        gateway = secure.gateway
        full = secure.access["principals"][0]
        keys = [harness.KEY]
        accepted = []
        failures = []
        done = threading.Event()

        def send(worker):
            number = 0
            connection = None
            while not done.is_set():
                # A new connection now and then, for the newest certificate.
                if number % 20 == 0:
                    if connection is not None:
                        connection.close()
                    connection = secure.connect()
                body = harness.employee_body(worker * 1_000_000 + number)
                number += 1
                try:
                    status, answer = gateway.post(body, key=keys[-1],
                                                  connection=connection)
                except OSError as error:
                    failures.append(repr(error))
                    return
                if status != 200:
                    failures.append((status, answer))
                    return
                accepted.append(answer["sequence"])
            connection.close()

        received = [[] for _ in range(4)]
        ends = []

        def follow(index, metadata):
            stub = secure.stub()
            request = api.SubscribeRequest(
                position=api.START_POSITION_EARLIEST)
            call = stub.Subscribe(request, metadata=metadata)
            self.addCleanup(call.cancel)
            try:
                for response in call:
                    received[index] += [e.sequence for e in response.events]
                ends.append((index, "OK"))
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.CANCELLED:
                    ends.append((index, str(harness.Problem(error))))

        tokens = [bearer(secure.token), bearer(secure.issuer.token())] * 2
        threads = [threading.Thread(target=send, args=(w,), daemon=True)
                   for w in range(4)]
        threads += [threading.Thread(target=follow, args=(i, tokens[i]),
                                     daemon=True) for i in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(1, 4):
            # The signing key: the new one takes the place of the last but one,
            # and is used once the gateway has it.
            new_key = f"whsec_turn_{turn}_{secrets.token_hex(8)}"
            write(secure.key_files[turn % 2], new_key)
            secure.wait_for_reload("signing_keys/bindbee", turn)
            keys.append(new_key)
            secure.write_certificate()
            secure.wait_for_reload("tls/webhook", turn)
            secure.wait_for_reload("tls/grpc", turn)
            # Another token beside those there are.
            full["token_sha256"].append(secure.digest(f"turn-{turn}"))
            secure.write_access()
            secure.wait_for_reload("access", turn)
            self.assertIsNone(list_problem(secure.stub(),
                                           bearer(f"turn-{turn}")))
            # The issuer's keys: the old one goes at once. Streams that it let
            # in stay until their tokens expire.
            issuer = Issuer(secure.directory, f"turn-{turn}")
            secure.write_jwks(issuer)
            secure.wait_for_reload("jwks", turn)
            self.assertIsNone(list_problem(secure.stub(),
                                           bearer(issuer.token())))
        done.set()
        for thread in threads[:4]:
            thread.join(harness.PATIENCE)
        self.assertEqual(failures, [])
        self.assertGreater(len(accepted), 100)
        self.assertEqual(len(set(accepted)), len(accepted))
        for sequences in received:
            harness.wait_until(
                lambda: sequences and sequences[-1] >= max(accepted),
                "the end of the stream")
            self.assertEqual(sequences, sorted(accepted))
        self.assertEqual(ends, [])
        # Who used which key can be told apart.
        used = [series for series, value in gateway.metrics().items()
                if series.startswith("waggle_signatures_verified_total")
                and value > 0]
        self.assertEqual(len(used), len(keys))

    def test_files_that_are_no_good_change_nothing(self):
        secure = SecureGateway(self)
        stub = secure.stub()
        good = {path: path.read_bytes()
                for path in (secure.key_files[0], secure.access_file,
                             secure.jwks_file, secure.certificate)}
        names = {"signing_keys/bindbee", "access", "jwks", "tls/webhook",
                 "tls/grpc"}
        for path in good:
            write(path, "\n" if path == secure.key_files[0] else "garbage: {")

        def failing():
            return {series.split('"')[1]
                    for series, value in secure.gateway.metrics().items()
                    if series.startswith("waggle_reload_failing") and value == 1}

        harness.wait_until(lambda: failing() == names, "all to be refused")
        self.assertEqual(secure.post(harness.employee_body(1))[0], 200)
        self.assertIsNone(list_problem(stub, bearer(secure.token)))
        self.assertIsNone(list_problem(secure.stub(),
                                       bearer(secure.issuer.token())))
        for path, content in good.items():
            write(path, content)
        harness.wait_until(lambda: not failing(), "all to be well again")
        self.assertEqual(secure.post(harness.employee_body(2))[0], 200)

    def test_tls_is_what_it_should_be(self):
        secure = SecureGateway(self, client_ca="required")
        for door in "webhook", "grpc":
            address = secure.gateway.addresses[door]

            def handshake(*options):
                return subprocess.run(
                    ["openssl", "s_client", "-connect", address, "-CAfile",
                     str(secure.authority.certificate), "-verify_return_error",
                     *options], input=b"", capture_output=True,
                    timeout=harness.PATIENCE, check=False)

            for version in "-tls1", "-tls1_1":
                done = handshake(version, "-cipher", "ALL:@SECLEVEL=0")
                self.assertNotEqual(done.returncode, 0, (door, version))
            for version in "-tls1_2", "-tls1_3":
                done = handshake(version)
                self.assertIn(b"Verify return code: 0 (ok)", done.stdout,
                              (door, version, done.stderr))
            for weak in ("AES128-SHA", "AES128-GCM-SHA256",
                         "ECDHE-ECDSA-AES128-SHA", "NULL", "aNULL"):
                done = handshake("-tls1_2", "-cipher", f"{weak}:@SECLEVEL=0")
                self.assertNotIn(b"Verify return code: 0 (ok)\n---\n",
                                 done.stdout if b"Cipher is (NONE)" not in
                                 done.stdout else b"", (door, weak))
            # Plain text gets nothing that it could take for an answer.
            host, port = address.rsplit(":", 1)
            with socket.create_connection((host, int(port)),
                                          harness.PATIENCE) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = b""
                try:
                    while data := plain.recv(4096):
                        answer += data
                except ConnectionResetError:
                    pass
                self.assertNotIn(b"HTTP/1", answer)

    def test_nobody_gets_in_without_the_certificate_that_is_required(self):
        secure = SecureGateway(self, client_ca="required")
        other = Authority(self.directory / "other", "Other CA")
        name = "URI:spiffe://test/full"

        def outcome(issued):
            certificate = {}
            if issued is not None:
                certificate = {"certificate_chain": issued[0].read_bytes(),
                               "private_key": issued[1].read_bytes()}
            with grpc.secure_channel(
                    secure.gateway.addresses["grpc"],
                    grpc.ssl_channel_credentials(
                        secure.authority.certificate.read_bytes(),
                        **certificate),
                    options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                return list_problem(api_grpc.EventServiceStub(channel))

        good = secure.authority.issue("client", name)
        foreign = other.issue("client", name)
        expired = secure.authority.issue(
            "client", name, dates=("20200101000000Z", "20200201000000Z"))
        for issued in None, foreign, expired:
            self.assertEqual(outcome(issued).code, grpc.StatusCode.UNAVAILABLE)
        self.assertIsNone(outcome(good))
        # The authority is exchanged; who is connected stays.
        stub = secure.stub(name)
        stream = stub.Subscribe(api.SubscribeRequest(), timeout=harness.PATIENCE)
        next(stream)
        write(secure.client_ca_file, other.certificate.read_bytes())
        secure.wait_for_reload("tls/grpc")
        self.assertIsNone(outcome(foreign))
        self.assertEqual(outcome(good).code, grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(secure.post(harness.employee_body(1))[0], 200)
        while not next(stream).events:
            pass

    def test_certificates_out_of_their_time_are_refused_at_the_start(self):
        authority = Authority(self.directory / "ca")
        for name, dates in (("expired", ("20200101000000Z", "20200201000000Z")),
                            ("early", ("20990101000000Z", "20990201000000Z"))):
            certificate, key = authority.issue("gateway", dates=dates)
            gateway = self.gateway(name, config={"grpc": {"tls": {
                "certificate_file": str(certificate), "key_file": str(key)}}})
            gateway.launch()
            self.assertEqual(gateway.program.wait(), 1)
            self.assertIn(str(certificate), gateway.program.err.text())

    def test_without_security_nothing_leaves_loopback(self):
        for section, words in (("grpc", ["access_file", "tls"]),
                               ("admin", ["access_file"])):
            gateway = self.gateway(f"exposed-{section}",
                                   config={section: {"listen": ":0"}})
            gateway.launch()
            self.assertEqual(gateway.program.wait(), 1)
            for word in [*words, "--insecure"]:
                self.assertIn(word, gateway.program.err.text())
            program = self.program("serve", "--insecure", "--config",
                                   gateway.config_path, cwd=gateway.directory)
            harness.wait_for_doors(program)
            program.signal(15)
            self.assertEqual(program.wait(), 0)

    def test_the_admin_door_on_other_addresses_asks_for_tokens(self):
        secure = SecureGateway(self, config={"admin": {"listen": ":0"}})
        port = int(secure.gateway.addresses["admin"].rsplit(":", 1)[1])

        def ask(method, path, *tokens, body=b""):
            connection = http.client.HTTPConnection("127.0.0.1", port,
                                                    timeout=harness.PATIENCE)
            connection.putrequest(method, path)
            for token in tokens:
                connection.putheader("Authorization", f"Bearer {token}")
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            status = connection.getresponse().status
            connection.close()
            return status

        def get(path, *tokens):
            return ask("GET", path, *tokens)

        for path in "/healthz", "/readyz", "/":
            self.assertEqual(get(path), 200)
        self.assertEqual(get("/metrics"), 401)
        self.assertEqual(get("/metrics", "wrong"), 401)
        self.assertEqual(get("/metrics", *[secure.admin_token] * 2), 401)
        self.assertEqual(get("/metrics", secure.issuer.token(
            exp=int(time.time()) - 3600)), 401)
        self.assertEqual(get("/metrics", secure.token), 403)
        self.assertEqual(get("/metrics", secure.admin_token), 200)

        method = "/waggle.v1.DeliveryService/ListDeliveries"
        self.assertEqual(ask("POST", method, body=b"{}"), 401)
        self.assertEqual(ask("POST", method, "wrong", body=b"{}"), 401)
        self.assertEqual(ask("POST", method, secure.token, body=b"{}"), 403)
        self.assertEqual(ask("POST", method, secure.admin_token, body=b"{}"),
                         200)

    def test_nothing_secret_is_ever_said(self):
        secure = SecureGateway(self)
        stub = secure.stub()
        jwt = secure.issuer.token()
        wrong = secrets.token_urlsafe(32)
        self.assertIsNone(list_problem(stub, bearer(secure.token)))
        self.assertIsNone(list_problem(stub, bearer(jwt)))
        problem = list_problem(stub, bearer(wrong))
        secure.post(harness.employee_body(1))
        secure.post(harness.employee_body(2), key="another")
        metrics = secure.gateway.get("/metrics")[1]
        check = harness.run("check-config", secure.gateway.config_path)
        self.assertEqual(check.returncode, 0, check.stderr)
        process = pathlib.Path(f"/proc/{secure.gateway.program.pid}")
        self.assertRegex((process / "limits").read_text(),
                         r"Max core file size +0 +0 ")
        shown = [(process / name).read_bytes().decode(errors="replace")
                 for name in ("cmdline", "environ")]
        self.assertEqual(secure.gateway.stop(), 0)
        said = "\n".join([
            *shown,
            problem.message, metrics, check.stdout, check.stderr,
            secure.gateway.program.out.text(),
            secure.gateway.program.err.text()])
        for secret in (harness.KEY, secure.token, secure.admin_token, jwt,
                       jwt.rsplit(".", 1)[1], wrong,
                       secure.certificate_key.read_text()):
            self.assertNotIn(secret, said)

    def test_a_client_that_ignores_gRPCs_limits_keeps_to_the_gateways(self):
        gateway = self.gateway("limits", config={
            "grpc": {"max_streams_per_connection": 3}}).start()
        host, port = gateway.addresses["grpc"].rsplit(":", 1)

        head = http2_head(b"trailers")
        with socket.create_connection((host, int(port)),
                                      harness.PATIENCE) as client:
            # Its SETTINGS, and never an acknowledgement of the gateway's.
            client.sendall(HTTP2_PREFACE)
            streams = range(1, 17, 2)
            for stream in streams:
                client.sendall(frame(1, 4, stream, head) +
                               frame(0, 1, stream, bytes(5)))
            refused = set()
            buffer = b""
            while len(refused) < len(streams) - 3:
                data = client.recv(65536)
                self.assertNotEqual(data, b"", "the connection ended")
                buffer += data
                while len(buffer) >= 9:
                    size = int.from_bytes(buffer[:3], "big")
                    if len(buffer) < 9 + size:
                        break
                    kind, flags = buffer[3], buffer[4]
                    stream = int.from_bytes(buffer[5:9], "big")
                    # Trailers.
                    if kind == 1 and flags & 1:
                        self.assertIn(b"streams of one connection",
                                      buffer[9:9 + size])
                        refused.add(stream)
                    buffer = buffer[9 + size:]
            self.assertEqual(gateway.metrics()["waggle_subscribers"], 3)

    def test_strangers_write_no_lines_of_their_own_into_the_log(self):
        gateway = self.gateway("log").start()
        host, port = gateway.addresses["grpc"].rsplit(":", 1)
        forged = b'x\n{"level":"error","event":"fatal"}'
        with socket.create_connection((host, int(port)),
                                      harness.PATIENCE) as client:
            client.sendall(HTTP2_PREFACE + b"".join(
                frame(1, 5, stream, http2_head(forged))
                for stream in range(1, 401, 2)))
            harness.wait_until(
                lambda: any(entry.get("event") == "grpc"
                            for entry in gateway.log_objects()),
                "what gRPC says of it")
        self.assertEqual(gateway.stop(), 0)
        entries = [json.loads(line) for line in gateway.program.err.all()]
        events = [entry["event"] for entry in entries]
        self.assertNotIn("fatal", events)
        self.assertLess(events.count("grpc"), 50)

    def test_tail_and_send_get_in(self):
        secure = SecureGateway(self)
        address = secure.gateway.addresses["grpc"]
        url = f"https://{secure.gateway.addresses['webhook']}/webhooks/bindbee"
        ca = secure.authority.certificate
        sent = harness.run("send", "--sample", "all", "--url", url, "--tls-ca",
                           ca, "--key-file", secure.key_files[0])
        self.assertEqual(sent.returncode, 0, sent.stderr)
        token_file = secure.directory / "token"
        write(token_file, secure.token + "\n")
        tail = ["tail", "--address", address, "--tls-ca", ca, "--from",
                "earliest", "--until-caught-up"]
        refused = harness.run(*tail)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("--token-file", refused.stderr)
        done = harness.run(*tail, "--token-file", token_file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()),
                         len(sent.stdout.splitlines()))


if __name__ == "__main__":
    harness.main()
