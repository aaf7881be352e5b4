"""Starting and stopping real programs, the records they carry, and what must have arrived."""
import glob
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time

HOST = '127.0.0.1'
RECORDS = 30_000


class Failure(Exception):
    """Why a check failed."""


class Missing(Exception):
    """A program that a check needs is not installed."""


def free_port():
    """A port that is free for TCP and UDP; not from the range that outgoing connections take theirs from."""
    for port in range(12000 + os.getpid() % 9000, 31000):
        if port in free_port.given:
            continue
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as sock:
                    sock.bind((HOST, port))
        except OSError:
            continue
        free_port.given.add(port)
        return port
    raise Failure('no port is free')


free_port.given = set()


class Programs:
    """The commands, as the command line names them."""

    def __init__(self, commands):
        self.commands = {name: shlex.split(command) for name, command in commands.items()}

    def command(self, name):
        command = self.commands[name]
        if not shutil.which(command[0]):
            raise Missing(f'{command[0]} is not in PATH (--{name} COMMAND names another)')
        return command

    def version(self, name):
        run = subprocess.run(self.command(name) + ['--version'], capture_output=True, text=True, check=False)
        return (run.stdout.strip() or run.stderr.strip()).splitlines()[0]


class Running:
    """A program with a configuration, until it is stopped; `port` is waited for, if there is one."""

    def __init__(self, programs, name, config, directory, port=None, label=None):
        self.name = name
        path = os.path.join(directory, f'{label or name}.conf')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(config)
        self.log = os.path.join(directory, f'{label or name}.output')
        with open(self.log, 'ab') as log:
            # A session of its own, so that a supervisor and its worker can be killed together.
            self.process = subprocess.Popen(
                programs.command(name) + ['-c', path], cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        self.wait_for(lambda: port is None or answers(port), 120, lambda: f'its port {port} to answer')

    def wait_for(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while True:
            if self.process.poll() is not None:
                raise Failure(f'{self.name} ended ({self.process.returncode}):\n{self.output()}')
            if condition():
                return
            if time.monotonic() > end:
                self.kill()
                raise Failure(f'waited {seconds} s for {what()}; {self.name}:\n{self.output()}')
            time.sleep(0.05)

    def output(self):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            lines = [line for line in file.read().splitlines() if re.search('warn|error|fatal', line, re.I)]
        return '\n'.join(lines[-15:])

    def stop(self):
        """Gracefully."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f'{self.name} does not end after SIGTERM:\n{self.output()}') from None

    def kill(self):
        """With all its processes, at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def answers(port):
    try:
        socket.create_connection((HOST, port), 1).close()
        return True
    except OSError:
        return False


def record(number):
    """Records that differ and have something of everything in them."""
    return {'n': number, 'text': f'größer {number * 7919 % 10007}', 'float': number / 8, 'none': None, 'yes': number % 2 == 0,
            'nested': {'list': [1, -number, 'x'], 'empty': {}}}


def write_lines(directory, first=0, count=RECORDS):
    """A file of JSON lines for a tail."""
    os.makedirs(os.path.join(directory, 'in'), exist_ok=True)
    part = os.path.join(directory, 'part')
    with open(part, 'w', encoding='utf-8') as file:
        for number in range(first, first + count):
            file.write(json.dumps(record(number), ensure_ascii=False) + '\n')
    os.rename(part, os.path.join(directory, 'in', f'{first}.log'))


def arrived(pattern):
    """The records in files of JSON lines; a line that is being written is left out."""
    out = []
    for path in sorted(glob.glob(pattern)):
        if os.path.isdir(path):
            continue
        with open(path, encoding='utf-8') as file:
            for line in file:
                if line.endswith('\n'):
                    out.append(line)
    return out


def expect_once(pattern, program, count=RECORDS, seconds=120):
    """Waits for all records, and a while for more; each must be there once and unchanged."""
    program.wait_for(lambda: len(arrived(pattern)) >= count, seconds,
                     lambda: f'{count} records in {pattern}, where there are {len(arrived(pattern))}')
    time.sleep(2.5)
    got = sorted((json.loads(line) for line in arrived(pattern)), key=lambda r: r['n'])
    numbers = [r['n'] for r in got]
    if numbers != list(range(count)):
        twice = len(numbers) - len(set(numbers))
        raise Failure(f'{len(numbers)} records arrived, {count} were sent; {twice} more than once, '
                      f'{count - len(set(numbers))} not at all')
    for r in got:
        if r != record(r['n']):
            raise Failure(f'{record(r["n"])} arrived as {r}')
