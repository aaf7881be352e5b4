#!/usr/bin/env python3
"""Real Fluentd and real Fluent Bit beside Logweir: what one sends, the other must have, each record once and unchanged.

  check.py [--logweir COMMAND] [--fluentd COMMAND] [--fluent-bit COMMAND] [--filter WORD] [--list]

`fluentd` and `fluent-bit` are taken from PATH. A check whose program is missing is skipped, which the last lines say.
Only the Python standard library and openssl are needed.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile
import traceback

from configs import (filled, fluent_bit_from_tail, fluent_bit_to_file, fluentd_from_tail, fluentd_to_file, from_forward, readme_output,
                     to_forward)
from programs import HOST, RECORDS, Failure, Missing, Programs, Running, expect_once, free_port, write_lines

CHECKS = []


def check(name):
    def add(function):
        CHECKS.append((name, function))
        return function
    return add


def pipeline(programs, directory, receiver, sender, port, seconds=120):
    """`sender` tails the lines and sends them to `receiver`, which writes `out*` into the directory."""
    with Running(programs, receiver[0], receiver[1], directory, port) as there:
        with Running(programs, sender[0], sender[1], directory) as here:
            write_lines(directory)
            expect_once(os.path.join(directory, 'out*'), there, seconds=seconds)
            here.stop()
        there.stop()


def certificate(directory):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext',
                    'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', os.path.join(directory, 'key.pem'), '-out',
                    os.path.join(directory, 'cert.pem')], check=True, capture_output=True)


# Fluent Bit's parameters of out_forward, Logweir's sections of in_forward.
SECURITY = '<security>\n  self_hostname server\n  shared_key secret\n</security>\n'
USERS = ('<security>\n  self_hostname server\n  shared_key secret\n  user_auth true\n  <user>\n    username u\n    password p\n'
         '  </user>\n</security>\n')
TLS = '<transport tls>\n  cert_path @DIR@/cert.pem\n  private_key_path @DIR@/key.pem\n</transport>\n'
FROM_FLUENT_BIT = {
    'plain': ('', ''),
    'ack': ('Require_ack_response true', ''),
    'gzip': ('Compress gzip', ''),
    'gzip ack': ('Compress gzip\nRequire_ack_response true', ''),
    'seconds ack': ('Time_as_Integer true\nRequire_ack_response true', ''),
    'fluentd_compat ack': ('Fluentd_Compat true\nRequire_ack_response true', ''),
    'options': ('Send_options true', ''),
    'shared key': ('Shared_Key secret\nSelf_Hostname client\nRequire_ack_response true', SECURITY),
    'user': ('Shared_Key secret\nSelf_Hostname client\nUsername u\nPassword p\nRequire_ack_response true', USERS),
    'tls ack': ('tls on\ntls.ca_file @DIR@/cert.pem\ntls.vhost localhost\nRequire_ack_response true', TLS),
    'tls gzip shared key': ('tls on\ntls.verify off\nCompress gzip\nShared_Key secret\nSelf_Hostname client', TLS + SECURITY),
}
# Fluentd's parameters of out_forward (Logweir's too) and of in_forward.
CLIENT = '<security>\n  self_hostname client\n  shared_key secret\n</security>\n'
BETWEEN_FLUENTDS = {
    'plain': ('heartbeat_type none', ''),
    'ack': ('require_ack_response true', ''),
    'gzip ack': ('compress gzip\nrequire_ack_response true', ''),
    'heartbeat udp': ('heartbeat_type udp\nheartbeat_interval 0.3\nrequire_ack_response true', ''),
    'heartbeat tcp': ('heartbeat_type tcp\nheartbeat_interval 0.3\nrequire_ack_response true', ''),
    'heartbeat none ack': ('heartbeat_type none\nrequire_ack_response true', ''),
    'seconds': ('time_as_integer true\nrequire_ack_response true', ''),
    'keepalive': ('keepalive true\nrequire_ack_response true', ''),
    'shared key': ('require_ack_response true\n' + CLIENT, SECURITY),
    'user': ('require_ack_response true\nSERVER username u\nSERVER password p\n' + CLIENT, USERS),
    'tls ack': ('transport tls\ntls_cert_path @DIR@/cert.pem\ntls_verify_hostname false\nrequire_ack_response true', TLS),
}
# Logweir's parameters of out_forward and Fluent Bit's of in_forward.
TO_FLUENT_BIT = {
    'plain': ('heartbeat_type none', ''),
    'ack': ('require_ack_response true', ''),
    'gzip ack': ('compress gzip\nrequire_ack_response true', ''),
    'shared key': ('require_ack_response true\n' + CLIENT, 'Shared_Key secret\nSelf_Hostname server'),
    'user': ('require_ack_response true\nSERVER username u\nSERVER password p\n' + CLIENT,
             'Shared_Key secret\nSelf_Hostname server\nSecurity.Users u p'),
    'tls ack': ('transport tls\ntls_cert_path @DIR@/cert.pem\ntls_verify_hostname false\nrequire_ack_response true',
                'tls on\ntls.crt_file @DIR@/cert.pem\ntls.key_file @DIR@/key.pem'),
}

for _name, (_sender, _receiver) in FROM_FLUENT_BIT.items():
    @check(f'fluent-bit -> logweir: {_name}')
    def _from_fluent_bit(programs, directory, sender=_sender, receiver=_receiver):
        port = free_port()
        pipeline(programs, directory, ('logweir', fluentd_to_file(directory, from_forward(directory, port, receiver))),
                 ('fluent-bit', fluent_bit_from_tail(directory, port, sender)), port)

for _name, (_sender, _receiver) in BETWEEN_FLUENTDS.items():
    for _from, _to in (('fluentd', 'logweir'), ('logweir', 'fluentd')):
        @check(f'{_from} -> {_to}: {_name}')
        def _between(programs, directory, names=(_from, _to), sender=_sender, receiver=_receiver):
            port = free_port()
            pipeline(programs, directory, (names[1], fluentd_to_file(directory, from_forward(directory, port, receiver))),
                     (names[0], fluentd_from_tail(directory, to_forward(directory, port, sender))), port)

for _name, (_sender, _receiver) in TO_FLUENT_BIT.items():
    @check(f'logweir -> fluent-bit: {_name}')
    def _to_fluent_bit(programs, directory, sender=_sender, receiver=_receiver):
        port = free_port()
        pipeline(programs, directory, ('fluent-bit', fluent_bit_to_file(directory, port, receiver)),
                 ('logweir', fluentd_from_tail(directory, to_forward(directory, port, sender))), port)


@check('fluent-bit -> logweir: as the README has it')
def _readme(programs, directory):
    port = free_port()
    pipeline(programs, directory, ('logweir', fluentd_to_file(directory, from_forward(directory, port, ''))),
             ('fluent-bit', fluent_bit_from_tail(directory, port, None, output=readme_output(port))), port)


def forwarding(directory, port, buffer):
    return to_forward(directory, port, 'require_ack_response true', buffer=f'{buffer}\nchunk_limit_size 512k\nflush_mode interval\n'
                      'flush_interval 1s\nretry_type periodic\nretry_wait 1s')


def fill(programs, name, directory, port, buffer, end):
    """Runs a program whose server is not there until it has all lines in its buffer, then ends it."""
    with Running(programs, name, fluentd_from_tail(directory, forwarding(directory, port, buffer)), directory) as running:
        write_lines(directory)
        size = os.path.getsize(os.path.join(directory, 'in', '0.log'))
        running.wait_for(lambda: position(os.path.join(directory, 'pos')) >= size, 120, lambda: 'the lines to be read')
        if glob.glob(os.path.join(directory, 'out*')):
            raise Failure('something arrived although there was no server')
        end(running)


def position(path):
    """How far Fluentd's pos file says that the one file has been read."""
    try:
        with open(path, encoding='utf-8') as file:
            fields = file.read().split()
        return int(fields[-2], 16)
    except (OSError, ValueError, IndexError):
        return -1


def drain(programs, name, directory, port, buffer, receiver):
    """A program with that buffer and no input sends what is in there to `receiver`."""
    there = fluentd_to_file(directory, from_forward(directory, port, ''))
    with Running(programs, receiver, there, directory, port, label='receiver') as server:
        with Running(programs, name, forwarding(directory, port, buffer), directory) as running:
            expect_once(os.path.join(directory, 'out*'), server)
            running.stop()
        server.stop()
    path = filled(re.search(r'(?m)^path (.*)$', buffer).group(1), directory)
    left = [name for name in os.listdir(path) if name.startswith(('buffer.', 'fsb.'))]
    if left:
        raise Failure(f'chunks of Fluentd are left: {left}')


@check('logweir buffer export -> fluentd')
def _export(programs, directory):
    port = free_port()
    fill(programs, 'logweir', directory, port, '@type file\npath @DIR@/waiting\nflush_at_shutdown false', Running.stop)
    export = subprocess.run(
        programs.command('logweir') + ['buffer', 'export', os.path.join(directory, 'waiting'), '--to', os.path.join(directory, 'back')],
        capture_output=True, text=True, check=False)
    if export.returncode != 0:
        raise Failure(f'export ended with {export.returncode}: {export.stderr}')
    drain(programs, 'fluentd', directory, port, '@type file\npath @DIR@/back', 'logweir')


for _kind in ('file', 'file_single'):
    for _more in ('', 'compress gzip\n'):
        for _how, _end in (('killed', Running.kill), ('stopped', Running.stop)):
            @check(f'buffer of a {_how} fluentd -> logweir: {_kind} {_more.strip()}'.strip())
            def _take_over(programs, directory, kind=_kind, more=_more, end=_end):
                port, buffer = free_port(), f'@type {kind}\npath @DIR@/waiting\nflush_at_shutdown false\n{more}'
                fill(programs, 'fluentd', directory, port, buffer, end)
                drain(programs, 'logweir', directory, port, buffer, 'fluentd')


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--logweir', default=os.path.join(here, '../../target/release/logweir'))
    parser.add_argument('--fluentd', default='fluentd')
    parser.add_argument('--fluent-bit', default='fluent-bit')
    parser.add_argument('--filter', default='')
    parser.add_argument('--list', action='store_true')
    options = parser.parse_args()
    programs = Programs({'logweir': options.logweir, 'fluentd': options.fluentd, 'fluent-bit': options.fluent_bit})
    chosen = [entry for entry in CHECKS if options.filter in entry[0]]
    if options.list or not chosen:
        print('\n'.join(name for name, _ in (chosen or CHECKS)))
        return 0 if chosen else 1
    for name in programs.commands:
        try:
            print(f'{name}: {programs.version(name)}')
        except Missing as missing:
            print(f'{name}: {missing}')
    passed, failed, skipped = 0, [], []
    for name, function in chosen:
        with tempfile.TemporaryDirectory(prefix='logweir-peers-') as directory:
            certificate(directory)
            try:
                function(programs, directory)
                passed += 1
                print(f'passed   {name}', flush=True)
            except Missing as missing:
                skipped.append(name)
                print(f'SKIPPED  {name}: {missing}', flush=True)
            except Exception as error:  # pylint: disable=broad-except
                failed.append(name)
                what = error if isinstance(error, Failure) else traceback.format_exc()
                print(f'FAILED   {name}: {what}', flush=True)
    print(f'{passed} passed, {len(failed)} failed, {len(skipped)} SKIPPED ({RECORDS} records each, over {HOST})')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
