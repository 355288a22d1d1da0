"""A stand-in for an inference server: answers /v1/completions as vLLM and SGLang do, or /completion as llama-server does, with text that `heirmark mark` samples for
the very prompt; or misbehaves as `answer` says, which gets the handler and the request's JSON."""
import http.server
import json
import ssl
import subprocess
import threading

from support import HEIRMARK, environment

VOCAB = 16384


def sample(prompt, tokens, *more):
    """Tokens for that prompt; `more` says with which key."""
    line = json.dumps({"tokens": prompt}) + "\n"
    done = subprocess.run([HEIRMARK, "mark", "-q", "--prompt", "-", "--tokens", str(tokens), "--vocab", str(VOCAB), *map(str, more)], input=line.encode(), capture_output=True,
                          env=environment(), check=True)
    text = json.loads(done.stdout)
    return text["tokens"][text["prompt_tokens"]:]


class Completions:
    """`with Completions(...) as server`: server.url. `samples(prompt, tokens)` gives the tokens. `requests` is what was asked: (path, header fields, JSON)."""

    def __init__(self, samples=None, *, answer=None, llama=False, words=False, context=None, ids=True):
        self.samples, self.answer, self.llama, self.words, self.ids = samples, answer, llama, words, ids
        self.requests = []
        self._lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer.requests.append((self.path, dict(self.headers), body))
                if outer.answer is not None:
                    outer.answer(self, body)
                else:
                    outer.serve(self, body)

            def reply(self, status, body, **fields):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json", "Content-Length": len(data)} | fields).items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(data)

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass  # the command hung up, as it should

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def serve(self, handler, body):
        if handler.path != ("/completion" if self.llama else "/v1/completions"):
            if self.llama and handler.path == "/v1/completions":  # llama-server has it, without token ids
                return handler.reply(400, {"error": {"code": 400, "message": "top_k must be at least 0"}})
            return handler.reply(404, {"detail": "Not Found"})
        prompt = body["prompt"]
        if self.words:
            if not isinstance(prompt, str):
                return handler.reply(422, {"detail": "prompt: expected a string"})
            prompt = [ord(c) for c in prompt]
        tokens = self.samples(prompt, body["n_predict" if self.llama else "max_tokens"])
        if self.llama:
            return handler.reply(200, {"content": "...", "tokens": tokens if body.get("return_tokens") else [], "generation_settings": {"temperature": 1.0}})
        choice = {"index": 0, "text": "...", "finish_reason": "length", "logprobs": None}
        if self.ids and body.get("return_token_ids"):
            choice |= {"token_ids": tokens, "prompt_token_ids": None if self.words else prompt}
        return handler.reply(200, {"id": "cmpl-1", "object": "text_completion", "model": body["model"], "choices": [choice], "usage": {"prompt_tokens": len(prompt)}})

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def trusting(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
