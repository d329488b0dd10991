# SPDX-License-Identifier: Apache-2.0
"""A token server for tests: Docker's token authentication by GET, and its OAuth 2 form by POST.

usage: token_server.py KEY.pem CERTIFICATE.pem SERVICE LIFETIME

User "alice", password "correct horse": every right, on everything. User "bob", password "battery staple": pull only.
Nobody: pull, on repositories that begin with "public/". A login with offline_token gets a refresh token.
Prints "listening on PORT", then a line for each token: how it was asked for, whose it is, and its scopes.
"""
import base64, http.server, json, random, subprocess, sys, time, urllib.parse

KEY, CERTIFICATE, SERVICE, LIFETIME = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
PASSWORDS = {"alice": "correct horse", "bob": "battery staple"}
DER = "".join(l for l in open(CERTIFICATE).read().splitlines() if not l.startswith("-----"))


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims):
    head = {"typ": "JWT", "alg": "RS256", "x5c": [DER]}
    text = encode(json.dumps(head).encode()) + "." + encode(json.dumps(claims).encode())
    command = ["openssl", "dgst", "-sha256", "-sign", KEY]
    return text + "." + encode(subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout)


def granted(user, scope):
    kind, rest = scope.split(":", 1)
    name, actions = rest.rsplit(":", 1)
    actions = actions.split(",")
    if user == "bob" or (user is None and name.startswith("public/")):
        actions = [a for a in actions if a == "pull"]
    elif user is None:
        actions = []
    return {"type": kind, "name": name, "actions": actions}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, echo):
        # A careless server repeats what it was sent; the client must not print it.
        self.reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect login: " + echo}]})

    def token(self, how, user, scopes, offline):
        now = int(time.time())
        access = [granted(user, s) for s in scopes]
        claims = {"iss": "tests", "sub": user or "", "aud": SERVICE, "exp": now + LIFETIME, "nbf": now - 10,
                  "iat": now, "jti": str(random.random()), "access": access}
        print("token", how, user or "nobody", " ".join(scopes), flush=True)
        answer = {"access_token": signed(claims)}
        if how == "GET":
            answer = {"token": answer["access_token"], "expires_in": LIFETIME}
        if offline:
            answer["refresh_token"] = "refresh-of-" + user
        self.reply(200, answer)

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user, header = None, self.headers.get("Authorization")
        if header:
            user, _, password = base64.b64decode(header.split()[1]).decode().partition(":")
            if PASSWORDS.get(user) != password:
                return self.refuse(header + " " + password)
        self.token("GET", user, query.get("scope", []), "offline_token" in query)

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        one = lambda name: form.get(name, [""])[0]
        user = None
        if one("grant_type") == "refresh_token":
            user = one("refresh_token").removeprefix("refresh-of-")
            if user not in PASSWORDS:
                return self.refuse(one("refresh_token"))
        elif PASSWORDS.get(one("username")) == one("password"):
            user = one("username")
        else:
            return self.refuse(one("password"))
        self.token("POST", user, one("scope").split(), False)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("listening on", server.server_address[1], flush=True)
server.serve_forever()
