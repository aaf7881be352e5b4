#!/usr/bin/env python3
"""Black-box conformance runner.

  run.py --command '/path/to/program' [--record] [--jobs N] [--filter S] [--json F] [--junit F] DIR...

Every case is a folder holding fluent.conf, case.json and expected.json (see README.md).
Only the Python standard library and the PyPI package `msgpack` are needed.
"""
import argparse
import concurrent.futures
import copy
import datetime
import difflib
import glob
import gzip
import hashlib
import http.client
import http.server
import json
import os
import random
import re
import shlex
import shutil
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import msgpack

READY = r'fluentd worker is now running'
HOST = '127.0.0.1'

# --------------------------------------------------------------------------- ports

_port_lock = threading.Lock()
_port_used = set()
_port_rng = random.Random(os.getpid() * 7919 + int(time.time()))


def free_port():
    """A port below the ephemeral range, free for TCP and for UDP right now."""
    with _port_lock:
        for _ in range(500):
            p = _port_rng.randrange(12000, 31000)
            if p in _port_used:
                continue
            try:
                with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as a:
                    a.bind((HOST, p))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
                    b.bind((HOST, p))
            except OSError:
                continue
            _port_used.add(p)
            return p
    raise RuntimeError('no free port')


# --------------------------------------------------------------------------- values

def enc_value(v):
    """JSON description -> value to be packed. {"$bin":hex} {"$et":[s,ns]} {"$ext":[t,hex]} {"$str":hex} {"$f32":x}"""
    if isinstance(v, dict):
        if len(v) == 1:
            k, x = next(iter(v.items()))
            if k == '$bin':
                return bytes.fromhex(x)
            if k == '$et':
                return msgpack.ExtType(0, struct.pack('>II', x[0], x[1]))
            if k == '$ext':
                return msgpack.ExtType(x[0], bytes.fromhex(x[1]))
            if k == '$str':
                return bytes.fromhex(x).decode('utf-8', 'surrogateescape')
            if k == '$repeat':
                return x[0] * x[1]
            if k == '$map':
                return dict((enc_key(a), enc_value(b)) for a, b in x)
        return {k: enc_value(x) for k, x in v.items()}
    if isinstance(v, list):
        return [enc_value(x) for x in v]
    return v


def enc_key(k):
    return enc_value(k) if isinstance(k, dict) else k


def pack(v):
    return msgpack.packb(enc_value(v), use_bin_type=True, unicode_errors='surrogateescape')


def unpacker():
    return msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors='surrogateescape',
                            max_buffer_size=64 << 20)


def show_value(v):
    """Value read from msgpack -> JSON that keeps its type."""
    if isinstance(v, msgpack.ExtType):
        if v.code == 0 and len(v.data) == 8:
            s, n = struct.unpack('>II', v.data)
            return {'$et': [s, n]}
        return {'$ext': [v.code, v.data.hex()]}
    if isinstance(v, msgpack.Timestamp):
        return {'$ts': [v.seconds, v.nanoseconds]}
    if isinstance(v, bytes):
        return {'$bin': v.hex()}
    if isinstance(v, dict):
        if all(isinstance(k, str) for k in v):
            return {k: show_value(x) for k, x in v.items()}
        return {'$map': [[show_value(k), show_value(x)] for k, x in v.items()]}
    if isinstance(v, (list, tuple)):
        return [show_value(x) for x in v]
    if isinstance(v, str):
        try:
            v.encode('utf-8')
        except UnicodeEncodeError:
            return {'$str': v.encode('utf-8', 'surrogateescape').hex()}
    return v


def text_of(b):
    return b.decode('utf-8', 'surrogateescape')


class DupDict(dict):
    pass


def _pairs(pairs):
    d = {}
    for k, v in pairs:
        if k in d:
            return {'$duplicate_keys': [[a, b] for a, b in pairs]}
        d[k] = v
    return d


def parse_json(s):
    return json.loads(s, object_pairs_hook=_pairs)


# --------------------------------------------------------------------------- sinks

class ForwardSink:
    """A forward-protocol listener that records what it is sent."""

    def __init__(self, port, opts):
        self.opts = opts or {}
        self.port = port
        self.events = []
        self.messages = []
        self.notes = []
        self.lock = threading.Lock()
        self.drop = self.opts.get('drop_first', 0)
        self.stop_ = False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((HOST, port))
        self.sock.listen(32)
        self.udp = None
        if self.opts.get('udp'):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((HOST, port))
            threading.Thread(target=self._udp, daemon=True).start()
        threading.Thread(target=self._accept, daemon=True).start()

    def _udp(self):
        while not self.stop_:
            try:
                d, a = self.udp.recvfrom(2048)
                if d and 'udp heartbeat' not in self.notes:
                    self.notes.append('udp heartbeat')
                self.udp.sendto(d, a)
            except OSError:
                return

    def _accept(self):
        while not self.stop_:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._conn, args=(c,), daemon=True).start()

    def _conn(self, c):
        try:
            tls = self.opts.get('tls')
            if tls:
                ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                ctx.load_cert_chain(self.opts['_cert'], self.opts['_key'])
                c = ctx.wrap_socket(c, server_side=True)
            key = self.opts.get('shared_key')
            up = unpacker()
            if key is not None:
                self._handshake(c, up, key)
            while True:
                for m in up:
                    if not self._message(c, m):
                        return
                d = c.recv(65536)
                if not d:
                    return
                up.feed(d)
        except Exception as e:      # connection torn down or garbage
            if not isinstance(e, (OSError, ssl.SSLError)):
                self.notes.append('listener: %r' % (e,))
        finally:
            try:
                c.close()
            except OSError:
                pass

    def _handshake(self, c, up, key):
        nonce, auth = b'0123456789abcdef', b''
        if self.opts.get('users'):
            auth = b'fedcba9876543210'
        c.sendall(msgpack.packb(['HELO', {'nonce': nonce, 'auth': auth, 'keepalive': True}], use_bin_type=True))
        while True:
            d = c.recv(65536)
            if not d:
                raise OSError('closed in handshake')
            up.feed(d)
            got = list(up)
            if got:
                break
        ping = got[0]

        def b(x):
            return x if isinstance(x, bytes) else x.encode('utf-8', 'surrogateescape')
        salt, digest = b(ping[2]), ping[3]
        want = hashlib.sha512(salt + b(ping[1]) + nonce + key.encode()).hexdigest()
        ok = (digest == want)
        reason = '' if ok else 'shared_key mismatch'
        users = self.opts.get('users')
        if ok and users:
            pw = users.get(ping[4])
            ok = pw is not None and ping[5] == hashlib.sha512(auth + b(ping[4]) + pw.encode()).hexdigest()
            reason = '' if ok else 'username/password mismatch'
        self.notes.append('ping %s hostname=%s user=%s' % ('ok' if ok else reason, ping[1] if isinstance(ping[1], str) else text_of(ping[1]), ping[4]))
        me = 'sink.example'
        back = hashlib.sha512(salt + me.encode() + nonce + key.encode()).hexdigest() if ok else ''
        c.sendall(msgpack.packb(['PONG', ok, reason, me, back], use_bin_type=True))
        if not ok:
            raise OSError('refused')

    def _message(self, c, m):
        if not isinstance(m, (list, tuple)) or len(m) < 2:
            self.notes.append('odd message')
            return True
        tag = m[0]
        opt = {}
        evs = []
        if isinstance(m[1], (bytes, str)):
            mode = 'PackedForward'
            opt = m[2] if len(m) > 2 and m[2] else {}
            raw = m[1] if isinstance(m[1], bytes) else m[1].encode('utf-8', 'surrogateescape')
            if opt.get('compressed') == 'gzip':
                mode = 'CompressedPackedForward'
                raw = gzip.decompress(raw)
            u = unpacker()
            u.feed(raw)
            for e in u:
                evs.append((e[0], e[1]))
        elif isinstance(m[1], list):
            mode = 'Forward'
            opt = m[2] if len(m) > 2 and m[2] else {}
            evs = [(e[0], e[1]) for e in m[1]]
        else:
            mode = 'Message'
            opt = m[3] if len(m) > 3 and m[3] else {}
            evs = [(m[1], m[2])]
        with self.lock:
            shown = {}
            for k, v in opt.items():
                shown[k] = ('<chunk>' if k == 'chunk' else show_value(v))
            if self.drop > 0:
                self.drop -= 1
                self.messages.append([mode, tag, shown, len(evs), 'no ack'])
                return not self.opts.get('drop_close')
            self.messages.append([mode, tag, shown, len(evs)])
            for t, r in evs:
                self.events.append([tag, show_value(t), show_value(r)])
        if 'chunk' in opt and self.opts.get('ack', True):
            c.sendall(msgpack.packb({'ack': opt['chunk']}))
        return True

    def close(self):
        self.stop_ = True
        for s in (self.sock, self.udp):
            if s is not None:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()


class HttpSink:
    def __init__(self, port, opts):
        self.requests = []
        opts = opts or {}
        seq = list(opts.get('responses', [200]))
        heads = [h.lower() for h in opts.get('headers', ['content-type'])]
        sink = self
        lock = threading.Lock()

        class H(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def handle_any(self):
                if self.headers.get('Transfer-Encoding', '').lower() == 'chunked':
                    body = b''
                    while True:
                        n = int(self.rfile.readline().strip() or b'0', 16)
                        if n == 0:
                            self.rfile.readline()
                            break
                        body += self.rfile.read(n)
                        self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                with lock:
                    code = seq.pop(0) if len(seq) > 1 else seq[0]
                    if self.headers.get('Content-Encoding') == 'gzip':
                        body = gzip.decompress(body)
                    sink.requests.append({
                        'method': self.command, 'path': self.path, 'status': code,
                        'headers': {h: self.headers.get(h) for h in heads if self.headers.get(h) is not None},
                        'body': text_of(body)})
                self.send_response(code)
                self.send_header('Content-Length', '2')
                self.end_headers()
                self.wfile.write(b'ok')

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *a):
                pass

        class S(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def server_bind(self):          # without the name lookup of the base class
                socketserver.TCPServer.server_bind(self)
                self.server_name, self.server_port = self.server_address[:2]

        self.srv = S((HOST, port), H)
        threading.Thread(target=self.srv.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.srv.shutdown()
        self.srv.server_close()




# --------------------------------------------------------------------------- one case

class Case:
    EVENT = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9} [+-]\d{4}) ([^ ]*): (.*)$')
    LOG = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}) \[(trace|debug|info|warn|error|fatal)\]: (.*)$')

    def __init__(self, folder, command, opt):
        self.folder = os.path.abspath(folder)
        self.command = command
        self.opt = opt
        with open(os.path.join(folder, 'case.json')) as f:
            self.spec = json.load(f)
        self.observe = self.spec.get('observe', {})
        self.compare = self.spec.get('compare', {})
        self.proc = None
        self.sid = []
        self.conns = {}
        self.replies = {}
        self.notes = []
        self.exit_codes = []
        self.sinks = {}
        self.logpos = 0

    # ---- life of the program

    def prepare(self):
        self.work = tempfile.mkdtemp(prefix='cfm-', dir=self.opt.tmp)
        self.work = os.path.realpath(self.work)
        self.logfile = self.work + '.log'
        open(self.logfile, 'wb').close()
        self.ports = {k: free_port() for k in ('PORT', 'PORT2', 'PORT3')}
        self.env = dict(os.environ)
        for k in list(self.env):
            if k.startswith('FLUENT_') or k in ('TZ', 'LANG', 'LC_ALL'):
                del self.env[k]
        if self.opt.compat:
            self.env['LOGWEIR_FLUENTD_COMPAT'] = self.opt.compat
        self.env.update({'TZ': 'UTC', 'LANG': 'C.UTF-8', 'LC_ALL': 'C.UTF-8', 'CASE_DIR': self.work})
        for k, v in self.ports.items():
            self.env[k] = str(v)
        for k, v in self.spec.get('env', {}).items():
            self.env[k] = self.sub(v)
        src = os.path.join(self.folder, 'files')
        if os.path.isdir(src):
            shutil.copytree(src, self.work, dirs_exist_ok=True, symlinks=True)
        self.conf = os.path.join(self.folder, 'fluent.conf')
        if self.spec.get('conf_in_workdir'):
            shutil.copy(self.conf, os.path.join(self.work, 'fluent.conf'))
            self.conf = os.path.join(self.work, 'fluent.conf')
        o = self.observe
        s = self.spec.get('sinks', {})
        if 'forward' in o or 'forward' in s:
            fo = dict(s.get('forward') or {})
            for k in ('cert', 'key'):
                if k in fo:
                    fo['_' + k] = os.path.join(self.work, fo[k])
            self.forward_opts = fo
            if not fo.get('late'):
                self.sinks['forward'] = ForwardSink(self.ports['PORT2'], fo)
        if 'http' in o or 'http' in s:
            self.http_opts = s.get('http')
            if not (self.http_opts or {}).get('late'):
                self.sinks['http'] = HttpSink(self.ports['PORT3'], self.http_opts)
        self.t0 = time.time()

    def sub(self, s):
        """${CASE_DIR} ${PORT} ${INODE:path} ${NOW:strftime} in step texts"""
        if not isinstance(s, str):
            return s

        def rep(m):
            w = m.group(1)
            if w == 'CASE_DIR':
                return self.work
            if w == 'CASE_FOLDER':
                return self.folder
            if w in self.ports:
                return str(self.ports[w])
            if w.startswith('INODE:'):
                return '%016x' % os.stat(os.path.join(self.work, w[6:])).st_ino
            if w.startswith('NOW:'):
                return time.strftime(w[4:], time.gmtime())
            if w.startswith('AGO:'):
                a, f = w[4:].split(':', 1)
                return time.strftime(f, time.gmtime(time.time() - int(a)))
            return m.group(0)
        return re.sub(r'\$\{((?:CASE_DIR|CASE_FOLDER|PORT3|PORT2|PORT|INODE:[^}]*|NOW:[^}]*|AGO:[^}]*))\}', rep, s)

    def path(self, p):
        p = self.sub(p)
        return p if os.path.isabs(p) else os.path.join(self.work, p)

    def start(self, conf=None, args=None, ready=None):
        argv = shlex.split(self.command)
        if not self.spec.get('no_conf'):
            argv += ['-c', self.path(conf) if conf else self.conf]
        argv += [self.sub(a) for a in (args if args is not None else self.spec.get('args', []))]
        out = open(self.logfile, 'ab')
        mark = os.path.getsize(self.logfile)
        self.proc = subprocess.Popen(argv, cwd=self.work, env=self.env, stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=out, start_new_session=True)
        out.close()
        self.sid.append(self.proc.pid)
        how = ready if ready is not None else self.spec.get('ready', 'log')
        limit = time.time() + self.opt.start_timeout
        if how == 'exit':
            self.wait_exit(self.opt.start_timeout)
            return
        if how == 'none':
            return
        rx = re.compile(self.opt.ready.encode())
        while time.time() < limit:
            if self.proc.poll() is not None:
                self.notes.append('program ended during start')
                return
            if how == 'log':
                with open(self.logfile, 'rb') as f:
                    f.seek(mark)
                    if rx.search(f.read()):
                        return
            elif how.startswith('port:'):
                try:
                    socket.create_connection((HOST, self.ports[how[5:]]), 0.2).close()
                    return
                except OSError:
                    pass
            elif how.startswith('file:'):
                if glob.glob(self.path(how[5:])):
                    return
            time.sleep(0.03)
        self.notes.append('not ready in time')

    def wait_exit(self, limit):
        try:
            self.proc.wait(limit)
        except subprocess.TimeoutExpired:
            self.notes.append('did not exit in time')
            self.kill()
        self.exit_codes.append(self.proc.returncode)

    def members(self):
        got = []
        for p in os.listdir('/proc'):
            if p.isdigit():
                try:
                    with open('/proc/%s/stat' % p, 'rb') as f:
                        rest = f.read().rsplit(b')', 1)[1].split()
                    if int(rest[3]) in self.sid and rest[0] != b'Z':
                        got.append(int(p))
                except (OSError, IndexError):
                    pass
        return got

    def kill(self):
        for _ in range(20):
            m = self.members()
            if not m:
                break
            for p in m:
                try:
                    os.kill(p, signal.SIGKILL)
                except OSError:
                    pass
            time.sleep(0.02)
        if self.proc:
            self.proc.wait(5)

    def stop(self, sig='TERM', limit=20):
        if self.proc is None or self.proc.poll() is not None:
            if self.proc is not None and len(self.exit_codes) < len(self.sid):
                self.exit_codes.append(self.proc.returncode)
            return
        self.proc.send_signal(getattr(signal, 'SIG' + sig))
        self.wait_exit(limit)

    # ---- reading what it printed

    def lines(self):
        with open(self.logfile, 'rb') as f:
            return text_of(f.read()).split('\n')

    def stdout_events(self):
        o = self.observe.get('stdout') or {}
        keep_internal = isinstance(o, dict) and o.get('internal')
        evs = []
        for ln in self.lines():
            m = self.EVENT.match(ln)
            if not m:
                continue
            if m.group(2).startswith('fluent.') and not keep_internal:
                continue
            try:
                rec = parse_json(m.group(3))
            except ValueError:
                rec = {'$not_json': m.group(3)}
            evs.append([m.group(2), self.now_text(m.group(1)), rec])
        return evs

    def now_text(self, s):
        try:
            t = datetime.datetime.strptime(s[:19] + s[29:], '%Y-%m-%d %H:%M:%S %z').timestamp()
        except ValueError:
            return s
        return 'NOW' if self.is_now(t) else s

    def is_now(self, t):
        return self.t0 - 5 <= t <= time.time() + 5

    def now_value(self, t):
        if isinstance(t, int) and self.is_now(t):
            return 'NOW:int'
        if isinstance(t, dict) and '$et' in t and self.is_now(t['$et'][0]):
            return 'NOW:et'
        if isinstance(t, float) and self.is_now(t):
            return 'NOW:float'
        return t

    # ---- steps

    def poll(self, fn, limit, what):
        end = time.time() + limit
        while True:
            try:
                if fn():
                    return True
            except (OSError, ValueError):
                pass
            if time.time() > end:
                self.notes.append('timeout waiting for ' + what)
                return False
            time.sleep(0.04)

    def wait(self, st):
        limit = st.get('timeout', 10)
        if 'events' in st:
            src = st.get('from')
            if src is None:
                src = 'forward' if 'forward' in self.observe else 'stdout'
            n = st['events']
            if src == 'stdout':
                self.poll(lambda: len(self.stdout_events()) >= n, limit, '%d events' % n)
            elif src == 'forward':
                self.poll(lambda: len(self.sinks['forward'].events) >= n, limit, '%d events' % n)
        if 'messages' in st:
            self.poll(lambda: len(self.sinks['forward'].messages) >= st['messages'], limit, 'messages')
        if 'requests' in st:
            self.poll(lambda: len(self.sinks['http'].requests) >= st['requests'], limit, 'requests')
        if 'log' in st:
            rx = re.compile(self.sub(st['log']))
            need = st.get('count', 1)
            self.poll(lambda: sum(1 for ln in self.lines() if rx.search(ln)) >= need, limit, 'log ' + st['log'])
        if 'file' in st:
            pat = self.path(st['file'])

            def chk():
                fs = sorted(glob.glob(pat))
                if st.get('absent'):
                    return not fs
                if len(fs) < st.get('count', 1):
                    return False
                if 'lines' in st or 'contains' in st:
                    data = b''.join(self.slurp(f) for f in fs if os.path.isfile(f))
                    if 'lines' in st and data.count(b'\n') < st['lines']:
                        return False
                    if 'contains' in st and self.sub(st['contains']).encode() not in data:
                        return False
                return True
            self.poll(chk, limit, 'file ' + st['file'])
        if st.get('exit'):
            self.wait_exit(limit)
        if 'port' in st:
            def up():
                socket.create_connection((HOST, self.ports[st['port']]), 0.2).close()
                return True
            self.poll(up, limit, 'port')
        if 'settle' in st:
            time.sleep(st['settle'])

    @staticmethod
    def slurp(f):
        with open(f, 'rb') as h:
            d = h.read()
        if f.endswith('.gz') or d[:2] == b'\x1f\x8b':
            try:
                d = gzip.decompress(d)
            except (OSError, EOFError):
                pass
        return d

    def data_of(self, st):
        if 'hex' in st:
            return bytes.fromhex(st['hex'].replace(' ', ''))
        if 'b64file' in st:
            with open(self.path(st['b64file']), 'rb') as f:
                return f.read()
        if 'repeat' in st:
            return (self.sub(st['repeat'][0]) * st['repeat'][1]).encode()
        if 'lines' in st:
            return ''.join(self.sub(x) + '\n' for x in st['lines']).encode('utf-8', 'surrogateescape')
        return self.sub(st.get('text', '')).encode('utf-8', 'surrogateescape')

    def message(self, m):
        mode = m.get('mode', 'Message')
        if 'packed_value' in m:
            return pack(m['packed_value'])
        tag = m.get('tag', 'test')
        es = m.get('entries', [])
        opt = m.get('option')
        if m.get('json'):
            if mode == 'Message':
                v = [tag, es[0][0], es[0][1]]
            else:
                v = [tag, es]
            if opt is not None:
                v.append(opt)
            return json.dumps(v, ensure_ascii=False).encode()
        if mode == 'Message':
            v = [tag, enc_value(es[0][0]), enc_value(es[0][1])]
        elif mode == 'Forward':
            v = [tag, [[enc_value(t), enc_value(r)] for t, r in es]]
        else:
            blob = b''.join(pack([t, r]) for t, r in es)
            if mode == 'CompressedPackedForward':
                parts = m.get('gzip_parts', 1)
                if parts == 1:
                    blob = gzip.compress(blob, mtime=0)
                else:
                    blob = b''.join(gzip.compress(pack([t, r]), mtime=0) for t, r in es)
                opt = dict(opt or {})
                opt.setdefault('compressed', 'gzip')
            if m.get('as_str'):
                # raw string family instead of bin
                head = b'\x94' if opt is not None and False else None
                n = len(blob)
                s = (b'\xa0'[0] | n).to_bytes(1, 'big') if n < 32 else (b'\xd9' + bytes([n]) if n < 256 else b'\xda' + struct.pack('>H', n))
                out = bytes([0x92 + (opt is not None)]) + pack(tag) + s + blob
                if opt is not None:
                    out += pack(opt)
                return out
            v = [tag, blob]
        if opt is not None or m.get('nil_option'):
            v.append(enc_value(opt) if opt is not None else None)
        return msgpack.packb(v, use_bin_type=True, unicode_errors='surrogateescape')

    def conn(self, st, port):
        name = st.get('conn')
        if name and name in self.conns:
            return self.conns[name]
        if 'unix' in st:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.settimeout(st.get('timeout', 5))
            s.connect(self.path(st['unix']))
        else:
            s = socket.create_connection((HOST, self.ports.get(port, port) if isinstance(port, str) else port), 5)
            s.settimeout(st.get('timeout', 5))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if 'tls' in st:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ca = st['tls'].get('ca')
            if ca:
                ctx.load_verify_locations(self.path(ca))
                ctx.check_hostname = False
            else:
                ctx.check_hostname = False
                ctx.verify_mode = ssl.CERT_NONE
            if st['tls'].get('cert'):
                ctx.load_cert_chain(self.path(st['tls']['cert']), self.path(st['tls']['key']))
            s = ctx.wrap_socket(s, server_hostname=st['tls'].get('name', 'localhost'))
        if name:
            self.conns[name] = s
        return s

    def send(self, s, data, st):
        n = st.get('split')
        if n:
            for i in range(0, len(data), n):
                s.sendall(data[i:i + n])
                time.sleep(st.get('gap', 0.002))
        else:
            s.sendall(data)

    def read_msgs(self, s, n, limit):
        up = unpacker()
        got = []
        s.settimeout(limit)
        try:
            while len(got) < n:
                d = s.recv(65536)
                if not d:
                    got.append('<closed>')
                    break
                up.feed(d)
                got += [show_value(x) for x in up]
        except (socket.timeout, TimeoutError):
            got.append('<silence>')
        except OSError as e:
            got.append('<closed>' if isinstance(e, ConnectionError) else '<error>')
        return got

    def step(self, st):
        do = st['do']
        if do in ('write', 'append'):
            p = self.path(st['path'])
            os.makedirs(os.path.dirname(p), exist_ok=True)
            with open(p, 'wb' if do == 'write' else 'ab') as f:
                f.write(self.data_of(st))
        elif do == 'touch':
            p = self.path(st['path'])
            a = time.time() - st.get('age', 0)
            open(p, 'ab').close()
            os.utime(p, (a, a))
        elif do == 'rename':
            os.rename(self.path(st['path']), self.path(st['to']))
        elif do == 'copy':
            shutil.copyfile(self.path(st['path']), self.path(st['to']))
        elif do == 'copytruncate':
            shutil.copyfile(self.path(st['path']), self.path(st['to']))
            os.truncate(self.path(st['path']), 0)
        elif do == 'truncate':
            os.truncate(self.path(st['path']), st.get('size', 0))
        elif do == 'symlink':
            p = self.path(st['path'])
            if os.path.islink(p):
                os.unlink(p)
            os.symlink(self.path(st['to']), p)
        elif do == 'delete':
            p = self.path(st['path'])
            shutil.rmtree(p) if os.path.isdir(p) and not os.path.islink(p) else os.unlink(p)
        elif do == 'mkdir':
            os.makedirs(self.path(st['path']), exist_ok=True)
        elif do == 'sleep':
            time.sleep(st['s'])
        elif do == 'wait':
            self.wait(st)
        elif do == 'forward':
            self.forward(st)
        elif do == 'handshake':
            self.handshake(st)
        elif do == 'fluent_logger':
            from fluent import sender
            fs = sender.FluentSender(st['tag'], host=HOST, port=self.ports[st.get('port', 'PORT')],
                                     nanosecond_precision=st.get('nanosecond', False))
            for label, tm, rec in st['events']:
                fs.emit_with_time(label, sender.EventTime(tm) if st.get('nanosecond') else tm, rec)
            fs.close()
        elif do == 'tcp':
            s = self.conn(st, st.get('port', 'PORT'))
            self.send(s, self.data_of(st), st)
            if 'expect_msgs' in st:
                self.replies[st.get('as', 'tcp')] = self.read_msgs(s, st['expect_msgs'], st.get('reply_timeout', 2))
            elif 'expect_close' in st:
                self.replies[st.get('as', 'tcp')] = self.read_msgs(s, 1, st.get('reply_timeout', 2))
            if st.get('half_close'):
                s.shutdown(socket.SHUT_WR)
            if not st.get('conn') or st.get('close'):
                s.close()
                self.conns.pop(st.get('conn'), None)
        elif do == 'http':
            self.http(st)
        elif do == 'udp':
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for d in ([self.data_of(st)] if 'datagrams' not in st else [self.data_of({'text': x}) for x in st['datagrams']]):
                s.sendto(d, (HOST, self.ports[st.get('port', 'PORT')]))
            if st.get('as'):
                s.settimeout(2)
                try:
                    self.replies[st['as']] = s.recvfrom(4096)[0].hex()
                except OSError:
                    self.replies[st['as']] = '<silence>'
            s.close()
        elif do == 'close':
            self.conns.pop(st['conn']).close()
        elif do == 'signal':
            if self.proc.poll() is None:
                self.proc.send_signal(getattr(signal, 'SIG' + st['sig']))
        elif do == 'restart':
            self.stop()
            self.start(st.get('conf'), st.get('args'), st.get('ready'))
        elif do == 'start':
            self.start(st.get('conf'), st.get('args'), st.get('ready'))
        elif do == 'stop':
            self.stop(st.get('sig', 'TERM'))
        elif do == 'kill':
            self.kill()
        elif do == 'sink':
            if st.get('close'):
                self.sinks[st['close']].close()
            elif st['open'] == 'forward':
                self.sinks['forward'] = ForwardSink(self.ports['PORT2'], self.forward_opts)
            else:
                self.sinks['http'] = HttpSink(self.ports['PORT3'], self.http_opts)
        elif do == 'snapshot':
            self.replies[st['as']] = self.snap(st)
        else:
            raise ValueError('unknown step ' + do)

    def snap(self, st):
        if 'tree' in st:
            return self.tree(st['tree'])
        out = []
        for f in sorted(glob.glob(self.path(st['path']))):
            out.append(text_of(self.slurp(f)))
        return out[0] if len(out) == 1 else out

    def forward(self, st):
        s = self.conn(st, st.get('port', 'PORT'))
        ms = st['messages'] if 'messages' in st else [st]
        try:
            if st.get('separate'):
                for m in ms:
                    s.sendall(self.message(m))
                    time.sleep(st.get('gap', 0.02))
            else:
                self.send(s, b''.join(self.message(m) for m in ms), st)
        except OSError:
            if 'as' in st or 'ack' in st:       # otherwise a race between the peer's reset and our send
                self.replies[st.get('as', 'ack')] = '<send failed>'
            return
        if 'ack' in st:
            n = st['ack'] if not isinstance(st['ack'], bool) else 1
            self.replies[st.get('as', 'ack')] = self.read_msgs(s, n, st.get('reply_timeout', 5))
        if not st.get('conn') or st.get('close'):
            s.close()
            self.conns.pop(st.get('conn'), None)

    def handshake(self, st):
        s = self.conn(st, st.get('port', 'PORT'))
        up = unpacker()

        def read():
            while True:
                for m in up:
                    return m
                d = s.recv(65536)
                if not d:
                    return None
                up.feed(d)
        out = {}
        try:
            helo = read()
            if helo is None:
                out['helo'] = '<closed>'
                self.replies[st.get('as', 'handshake')] = out
                return
            o = helo[1]

            def b(x):
                return x if isinstance(x, bytes) else x.encode('utf-8', 'surrogateescape')
            out['helo'] = [helo[0], {k: ('<%d bytes>' % len(b(v)) if k in ('nonce', 'auth') else v) for k, v in o.items()}]
            nonce, auth = b(o['nonce']), b(o.get('auth', b''))
            salt = b'saltsaltsaltsalt'
            me = st.get('hostname', 'client.example')
            key = st['shared_key'].encode()
            digest = hashlib.sha512(salt + me.encode() + nonce + key).hexdigest()
            user, pw = st.get('user', ''), st.get('password', '')
            pwd = hashlib.sha512(auth + user.encode() + pw.encode()).hexdigest() if auth or st.get('force_user') else ''
            s.sendall(msgpack.packb(['PING', me, salt, digest, user if auth else '', pwd if auth else ''], use_bin_type=True))
            pong = read()
            if pong is None:
                out['pong'] = '<closed>'
            else:
                host = pong[3]
                ok = pong[4] == hashlib.sha512(salt + b(host) + nonce + key).hexdigest()
                if host == socket.gethostname():
                    host = '<hostname>'
                out['pong'] = [pong[0], pong[1], pong[2], host, 'digest ok' if ok else ('empty' if pong[4] == '' else 'digest wrong')]
                if not pong[1]:
                    out['after'] = self.read_msgs(s, 1, 2)
        except OSError:
            out['pong'] = '<closed>'
        self.replies[st.get('as', 'handshake')] = out

    def http(self, st):
        c = http.client.HTTPConnection(HOST, self.ports[st.get('port', 'PORT')], timeout=st.get('timeout', 6))
        body = self.data_of(st) if any(k in st for k in ('text', 'hex', 'lines', 'repeat')) else None
        if 'msgpack' in st:
            body = pack(st['msgpack'])
        if st.get('gzip'):
            body = gzip.compress(body, mtime=0)
        heads = {k: self.sub(v) for k, v in st.get('headers', {}).items()}
        try:
            c.request(st.get('method', 'POST'), self.sub(st.get('path', '/')), body=body, headers=heads)
            r = c.getresponse()
            data = r.read()
            out = {'status': r.status}
            for h in st.get('show_headers', []):
                out[h] = r.getheader(h)
            if st.get('show_body', True):
                if st.get('json_body'):
                    v = parse_json(text_of(data))
                    out['body'] = self.pick(v, st.get('pick'))
                else:
                    out['body'] = text_of(data)
        except OSError as e:
            out = {'error': 'refused' if isinstance(e, ConnectionRefusedError) else 'failed'}
        except http.client.HTTPException:
            out = {'error': 'bad http'}
        finally:
            c.close()
        if st.get('as'):
            self.replies[st['as']] = out

    def pick(self, v, spec):
        """spec: {"list": key, "where": {k: v}, "keys": [...]} for large JSON answers"""
        if not spec:
            return v
        if 'list' in spec:
            rows = v[spec['list']]
            if 'where' in spec:
                rows = [r for r in rows if all(r.get(k) == x for k, x in spec['where'].items())]
            if spec.get('keys') == 'names':
                return [list(r) for r in rows]
            if 'keys' in spec:
                rows = [{k: r[k] for k in spec['keys'] if k in r} for r in rows]
            return rows
        if spec.get('keys') == 'names':
            return list(v)
        return {k: v[k] for k in spec['keys'] if k in v}

    # ---- observation

    def tree(self, pats):
        out = []
        for pat in pats:
            for f in sorted(glob.glob(self.path(pat), recursive=True)):
                if os.path.isdir(f) and not os.path.islink(f):
                    continue
                r = os.path.relpath(f, self.work)
                if os.path.islink(f):
                    r += ' -> ' + os.path.relpath(os.path.realpath(f), self.work)
                out.append(r)
        return out

    def collect(self):
        o = self.observe
        obs = {}
        if 'stdout' in o:
            obs['stdout'] = self.events_view(self.stdout_events(), o['stdout'])
        if 'forward' in o:
            sk = self.sinks.get('forward')
            fo = o['forward'] if isinstance(o['forward'], dict) else {}
            evs = [[t, self.now_value(tm), r] for t, tm, r in (copy.deepcopy(sk.events) if sk else [])]
            if not fo.get('internal'):
                evs = [e for e in evs if not str(e[0]).startswith('fluent.')]
            if fo.get('events', True):
                obs['forward'] = self.events_view(evs, fo)
            if fo.get('messages'):
                obs['messages'] = sk.messages if fo['messages'] != 'modes' else sorted(set(m[0] for m in sk.messages))
            if fo.get('notes'):
                obs['listener'] = sk.notes
        if 'http' in o:
            ho = o['http'] if isinstance(o['http'], dict) else {}
            reqs = self.sinks['http'].requests if 'http' in self.sinks else []
            if ho.get('keys'):
                reqs = [{k: r[k] for k in ho['keys']} for r in reqs]
            obs['http'] = reqs
        for i, f in enumerate(o.get('files', [])):
            obs.setdefault('files', {})
            name = f.get('name') or f['path']
            obs['files'][name] = self.file_view(f)
        if 'tree' in o:
            obs['tree'] = self.tree(o['tree'])
        if o.get('exit'):
            obs['exit'] = self.exit_codes
        if 'log' in o:
            obs['log'] = {}
            ls = self.lines()
            for name, q in o['log'].items():
                rx = re.compile(self.sub(q['re']), re.S)
                lv = q.get('level')
                n = 0
                for ln in ls:
                    if self.EVENT.match(ln):
                        continue
                    m = self.LOG.match(ln)
                    if lv and (not m or m.group(2) != lv):
                        continue
                    if rx.search(ln):
                        n += 1
                obs['log'][name] = n if q.get('count') else bool(n)
        if self.replies:
            obs['replies'] = self.replies
        return self.normal(obs)

    def events_view(self, evs, o):
        o = o if isinstance(o, dict) else {}
        if o.get('tag'):
            evs = [e for e in evs if re.search(o['tag'], e[0])]
        if o.get('time') == 'drop':
            evs = [[e[0], e[2]] for e in evs]
        if o.get('drop_keys'):
            for e in evs:
                for k in o['drop_keys']:
                    e[-1].pop(k, None)
        if o.get('only_tags'):
            evs = [e[0] for e in evs]
        if o.get('order') == 'ignore':
            evs = sorted(evs, key=lambda e: json.dumps(e))
        elif o.get('order') == 'by_tag':
            evs = sorted(evs, key=lambda e: e[0])
        if o.get('count'):
            return len(evs)
        if o.get('unique'):
            out = []
            for e in evs:
                if e not in out:
                    out.append(e)
            return out
        if o.get('first'):
            evs = evs[:o['first']]
        return evs

    def file_view(self, f):
        fs = [p for p in sorted(glob.glob(self.path(f['path']), recursive=True)) if os.path.isfile(p)]
        if not fs:
            return None
        how = f.get('as', 'lines')
        if f.get('merge'):
            data = b''.join(self.slurp(p) for p in fs)
            return self.content(data, how, f)
        if len(fs) == 1 and not f.get('named'):
            return self.content(self.slurp(fs[0]), how, f)
        return {os.path.relpath(p, self.work): self.content(self.slurp(p), how, f) for p in fs}

    def content(self, data, how, f):
        if how == 'exists':
            return True
        if how == 'text':
            return text_of(data)
        if how == 'hex':
            return data.hex()
        if how == 'msgpack':
            u = unpacker()
            u.feed(data)
            return [show_value(x) for x in u]
        ls = text_of(data).split('\n')
        if ls and ls[-1] == '':
            ls.pop()
        elif how in ('lines',):
            ls[-1] += '<no newline>'
        if how == 'json':
            ls = [parse_json(x) for x in ls]
        if f.get('sort'):
            ls = sorted(ls, key=json.dumps)
        if how == 'count':
            return len(ls)
        return ls

    def normal(self, obs):
        inodes = {}
        if self.compare.get('inodes'):
            for root, _, names in os.walk(self.work):
                for n in names:
                    p = os.path.join(root, n)
                    if not os.path.islink(p):
                        inodes.setdefault('%016x' % os.stat(p).st_ino, []).append(os.path.relpath(p, self.work))
        host = socket.gethostname()
        masks = [(re.compile(a), b) for a, b in self.compare.get('mask', [])]
        ports = sorted(self.ports.items(), key=lambda kv: -len(kv[0]))

        def text(s):
            s = s.replace(self.work, '$CASE_DIR').replace(self.folder, '$CASE_FOLDER')
            for k, p in ports:
                s = re.sub(r'(?<![0-9])%d(?![0-9])' % p, '$' + k, s)
            for h, names in inodes.items():
                s = s.replace(h, '$INODE(%s)' % sorted(names)[0])
            if self.compare.get('hostname'):
                s = s.replace(host, '$HOSTNAME')
            for rx, b in masks:
                s = rx.sub(b, s)
            return s

        def walk(v):
            if isinstance(v, str):
                return text(v)
            if isinstance(v, dict):
                return {text(k): walk(x) for k, x in v.items()}
            if isinstance(v, (list, tuple)):
                return [walk(x) for x in v]
            if isinstance(v, int) and not isinstance(v, bool) and v in self.ports.values():
                return '$' + [k for k, p in self.ports.items() if p == v][0]
            return v
        obs = walk(obs)
        for k in self.compare.get('sort', []):
            if k in obs and isinstance(obs[k], list):
                obs[k] = sorted(obs[k], key=json.dumps)
        return obs

    # ---- all of it

    def run(self):
        t = time.time()
        self.prepare()
        err = None
        try:
            for st in self.spec.get('before', []):
                self.step(st)
            if not self.spec.get('start_by_step'):
                self.start()
            for st in self.spec.get('steps', []):
                self.step(st)
            fin = self.spec.get('finish', 'TERM')
            if fin == 'KILL':
                self.kill()
            else:
                self.stop(fin)
            obs = self.collect()
        except Exception:
            err = traceback.format_exc()
            obs = {'runner_error': err.strip().split('\n')[-1]}
        finally:
            for c in self.conns.values():
                try:
                    c.close()
                except OSError:
                    pass
            for s in self.sinks.values():
                try:
                    s.close()
                except Exception:
                    pass
            self.kill()
            try:
                self.log = '\n'.join(self.lines())
            except OSError:
                self.log = ''
            if not self.opt.keep:
                shutil.rmtree(self.work, ignore_errors=True)
                try:
                    os.unlink(self.logfile)
                except OSError:
                    pass
        self.wall = time.time() - t
        fatal = [n for n in self.notes if n in ('program ended during start', 'not ready in time', 'did not exit in time')]
        if fatal and not err:
            err = fatal[0]
            obs = {'runner_error': err, 'observed': obs}
        self.error = err
        return obs


# --------------------------------------------------------------------------- comparison and report

def dump(v, ind=0, width=150):
    """JSON text with short values on one line; keys keep their order."""
    one = json.dumps(v, ensure_ascii=True)
    if len(one) + ind <= width or not isinstance(v, (dict, list)) or not v:
        return one
    pad = ' ' * (ind + 2)
    if isinstance(v, dict):
        inner = ',\n'.join(pad + json.dumps(k) + ': ' + dump(x, ind + 2, width) for k, x in v.items())
        return '{\n' + inner + '\n' + ' ' * ind + '}'
    inner = ',\n'.join(pad + dump(x, ind + 2, width) for x in v)
    return '[\n' + inner + '\n' + ' ' * ind + ']'


def one(folder, opt):
    c = Case(folder, opt.command, opt)
    obs = c.run()
    exp_file = expected_file(folder, opt)
    status, detail = 'ok', ''
    if opt.record:
        if c.error:
            status, detail = 'FAIL', c.error
        else:
            with open(exp_file, 'w') as f:
                f.write(dump(obs) + '\n')
    else:
        try:
            with open(exp_file) as f:
                exp = parse_json(f.read())
        except OSError:
            exp = None
        # textual comparison: strict on types, key order and missing keys
        if json.dumps(obs) != json.dumps(exp):
            status = 'FAIL'
            detail = '\n'.join(difflib.unified_diff(dump(exp, width=100).split('\n'), dump(obs, width=100).split('\n'),
                                                    'expected', 'observed', lineterm='', n=2))
            if c.error:
                detail += '\n' + c.error
    if c.notes and (status != 'ok' or opt.record):
        detail += ('\n' if detail else '') + 'notes: ' + '; '.join(c.notes)
    if status != 'ok' and opt.log_tail:
        detail += '\n--- program output (tail)\n' + '\n'.join(c.log.split('\n')[-opt.log_tail:])
    return status, detail, c.wall, obs


def expected_file(folder, opt):
    """expected.json, or expected.VERSION.json where a later Fluentd answers differently."""
    later = os.path.join(folder, 'expected.%s.json' % opt.compat)
    if opt.compat and (os.path.exists(later) or opt.record):
        return later
    return os.path.join(folder, 'expected.json')


def find(dirs, filt):
    got = []
    for d in dirs:
        if os.path.isfile(os.path.join(d, 'case.json')):
            got.append(os.path.abspath(d))
        for root, ds, fs in os.walk(d):
            ds.sort()
            if root != d and 'case.json' in fs:
                got.append(os.path.abspath(root))
                ds[:] = []
    out = []
    for g in got:
        if g not in out and (not filt or any(f in g for f in filt.split(','))):
            out.append(g)
    return out


def differs(folder):
    with open(os.path.join(folder, 'case.json')) as f:
        return 'differs_in' in json.load(f)


def name_of(folder):
    return '/'.join(folder.split(os.sep)[-2:])


def known_failures(path):
    if not path:
        return {}
    with open(path) as f:
        lines = [line.strip() for line in f]
    pairs = [line.partition(' ') for line in lines if line and not line.startswith('#')]
    return {name: reason.strip() for name, _, reason in pairs}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--command', required=True)
    ap.add_argument('--record', action='store_true')
    ap.add_argument('--jobs', type=int, default=2)
    ap.add_argument('--repeat', type=int, default=1, help='run every case N times; it passes when all runs pass')
    ap.add_argument('--filter')
    ap.add_argument('--json')
    ap.add_argument('--junit')
    ap.add_argument('--ready', default=READY, help='pattern in the program output that says it is ready')
    ap.add_argument('--start-timeout', type=float, default=25)
    ap.add_argument('--tmp', default=None)
    ap.add_argument('--keep', action='store_true')
    ap.add_argument('--log-tail', type=int, default=0)
    ap.add_argument('--show', action='store_true', help='print the observation of each case')
    ap.add_argument('--compat', help='the Fluentd that the program is to follow (1.19): fluentd_compat, and expected.1.19.json')
    ap.add_argument('--differing', action='store_true', help='only cases that a later Fluentd answers differently')
    ap.add_argument('--known', help='file of cases that may fail: one AREA/NAME a line, then the reason')
    ap.add_argument('dirs', nargs='+')
    opt = ap.parse_args()
    opt.command = ' '.join(shlex.quote(os.path.abspath(x) if i == 0 and os.sep in x else x)
                           for i, x in enumerate(shlex.split(opt.command)))
    cases = find(opt.dirs, opt.filter)
    if opt.differing:
        cases = [case for case in cases if differs(case)]
    results = []
    known = known_failures(opt.known)

    def job(folder):
        worst = None
        for _ in range(opt.repeat):
            try:
                r = one(folder, opt)
            except Exception:
                r = ('FAIL', traceback.format_exc(), 0, None)
            if worst is None or r[0] != 'ok':
                worst = r
            if r[0] != 'ok':
                break
        return folder, worst
    with concurrent.futures.ThreadPoolExecutor(opt.jobs) as ex:
        for folder, (status, detail, wall, obs) in ex.map(job, cases):
            name = name_of(folder)
            # One that is known for a later Fluentd only is written as VERSION:AREA/NAME.
            known_as = '%s:%s' % (opt.compat, name)
            if status != 'ok' and known_as in known:
                status, detail = 'known', known[known_as]
            elif status != 'ok' and name in known:
                status, detail = 'known', known[name]
            elif status == 'ok' and name in known and not opt.compat:
                detail = 'passes now: take it out of ' + opt.known
            print('%-5s %s (%.1fs)' % (status, name, wall), flush=True)
            if detail:
                print('    ' + detail.replace('\n', '\n    '), flush=True)
            if opt.show:
                print('    ' + dump(obs).replace('\n', '\n    '), flush=True)
            results.append({'case': name_of(folder), 'status': {'ok': 'pass', 'known': 'known'}.get(status, 'fail'),
                            'seconds': round(wall, 2), 'detail': detail})
    ok = sum(r['status'] == 'pass' for r in results)
    areas = {}
    for r in results:
        a = areas.setdefault(r['case'].split('/')[0], [0, 0, 0])
        a[('pass', 'fail', 'known').index(r['status'])] += 1
    for a, counts in sorted(areas.items()):
        print('  %-18s %d passed, %d failed, %d known' % (a, *counts))
    skipped = sum(r['status'] == 'known' for r in results)
    failed = len(results) - ok - skipped
    print('%d passed, %d failed%s' % (ok, failed, ', %d skipped' % skipped if known else ''))
    if opt.json:
        with open(opt.json, 'w') as f:
            json.dump({'passed': ok, 'failed': failed, 'cases': results}, f, indent=1)
    if opt.junit:
        from xml.sax.saxutils import escape, quoteattr
        with open(opt.junit, 'w') as f:
            f.write('<testsuite name="conformance" tests="%d" failures="%d">\n' % (len(results), failed))
            for r in results:
                f.write(' <testcase classname=%s name=%s time="%s">' % (quoteattr(r['case'].split('/')[0]), quoteattr(r['case'].split('/')[1]), r['seconds']))
                if r['status'] == 'fail':
                    clean = re.sub('[^\t\n\x20-\ud7ff]', '?', r['detail'])
                    f.write('<failure>%s</failure>' % escape(clean))
                f.write('</testcase>\n')
            f.write('</testsuite>\n')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
