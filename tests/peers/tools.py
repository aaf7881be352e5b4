#!/usr/bin/env python3
"""Fluentd's small commands beside Logweir's: fluent-cat both ways, fluent-binlog-reader and fluent-plugin-config-format on the same input.

  tools.py [--logweir COMMAND] [--fluentd COMMAND] [--scripts COMMAND]

The scripts are taken from PATH; `--scripts COMMAND` runs `COMMAND fluent-cat ...` instead. Exit status 1 if something differs that is not in
DIFFERS.
"""
import argparse
import glob
import json
import os
import shlex
import subprocess
import sys
import tempfile

from programs import HOST, Programs, Running, free_port

FORWARD = """<source>
  @type forward
  bind 127.0.0.1
  port {port}
</source>
<match cat.**>
  @type file
  path {dir}/out
  append true
  <format>
    @type out_file
    time_format %s.%N
  </format>
  <buffer []>
    path {dir}/buffer
    flush_mode immediate
  </buffer>
</match>
"""
TO_NOBODY = """<source>
  @type forward
  bind 127.0.0.1
  port {port}
</source>
<match cat.**>
  @type forward
  <server>
    host 127.0.0.1
    port {nobody}
  </server>
  <buffer tag>
    @type file
    path {dir}/buffer
    flush_mode interval
    flush_interval 1h
    flush_at_shutdown false
  </buffer>
</match>
"""
SENT = [
    (['cat.json'], b'{"n":1,"s":"a\\u00e9\\n"}\n{"f":1.5,"t":true,"x":null,"a":[1,{"b":2}]}\n'),
    (['--none', 'cat.none'], 'a line\n\nü\n'.encode()),
    (['--none', '--message-key', 'm', 'cat.key'], b'x\n'),
    (['-f', 'msgpack', 'cat.msgpack'], b'\x81\xa1n\x02\x81\xa1n\xcd\x01\x00'),
    # Fluentd's formatter takes a second that it has seen with a fraction for the same time.
    (['--time-as-integer', '--event-time', '2024-01-02T03:04:06.25Z', 'cat.whole'], b'{"n":3}\n'),
]
READERS = [['cat'], ['head'], ['head', '-n', '1'], ['cat', '-f', 'json'], ['cat', '-f', 'ltsv'], ['cat', '-f', 'hash'], ['cat', '-f', 'stdout'],
           ['cat', '-f', 'csv', '-e', 'fields=n,s'], ['cat', '-f', 'single_value', '-e', 'message_key=n'],
           ['cat', '-f', 'out_file', '-e', 'delimiter=COMMA', '-e', 'time_format=%s']]
PLUGINS = ['input forward', 'input tail', 'input http', 'input syslog', 'input tcp', 'input udp', 'input exec', 'filter grep', 'filter parser',
           'filter record_transformer', 'output file', 'output forward', 'output http', 'output stdout', 'output copy', 'output null',
           'parser json', 'parser regexp', 'parser csv', 'parser syslog', 'formatter json', 'formatter csv', 'formatter out_file']
# What differs, and why.
DIFFERS = {
    'fluent-binlog-reader cat -f hash',  # as Fluentd's workers print it, which show what is not ASCII as escapes
    # <parse> and <format> are the tables of the plugins that they name.
    'input tail: parse: usage', 'input syslog: parse: with_priority', 'input exec: parse: time_type', 'input exec: parse: time_key',
    'input exec: parse: estimate_current_event', 'output stdout: format: output_type',
    'input syslog: transport: protocol',  # the argument of the section
    # <buffer> is in the table of the base class.
    'output file: buffer', 'output forward: buffer', 'output stdout: buffer', 'output null: buffer',
    # A type of the plugin's own.
    'formatter csv: delimiter', 'formatter out_file: delimiter',
    # Not there.
    'output http: proxy', 'output http: tls_ciphers',
}


class Tools:
    def __init__(self, arguments):
        self.programs = Programs({'logweir': arguments.logweir, 'fluentd': arguments.fluentd})
        self.scripts = shlex.split(arguments.scripts)
        self.problems = []

    def run(self, whose, tool, args, data=b''):
        command = self.scripts + ['fluent-' + tool] if whose == 'fluentd' else self.programs.command('logweir') + [tool]
        return subprocess.run(command + args, input=data, capture_output=True, check=False, timeout=120, env={**os.environ, 'TZ': 'UTC'})

    def expect(self, what, theirs, ours):
        if theirs == ours:
            return print('same   ', what)
        if what in DIFFERS:
            return print('known  ', what)
        self.problems.append(what)
        return print(f'DIFFERS {what}\n  fluentd: {theirs!r}\n  logweir: {ours!r}')

    def cat(self):
        got = {}
        for sender in ('fluentd', 'logweir'):
            for receiver in ('fluentd', 'logweir'):
                with tempfile.TemporaryDirectory() as directory:
                    port = free_port()
                    with Running(self.programs, receiver, FORWARD.format(port=port, dir=directory), directory, port) as there:
                        for args, data in SENT:
                            run = self.run(sender, 'cat', ['-h', HOST, '-p', str(port), '--event-time', '2024-01-02T03:04:05.25Z'] + args, data)
                            assert run.returncode == 0, run.stderr

                        def lines():
                            found = [open(name, 'rb').read() for name in glob.glob(directory + '/out*.log')]
                            return sorted(b''.join(found).splitlines())
                        there.wait_for(lambda: len(lines()) >= 9, 60, lambda: f'nine lines, of {lines()}')
                        got[sender, receiver] = lines()
                        there.stop()
        for pair, lines in got.items():
            self.expect('fluent-cat of %s to %s' % pair, got['fluentd', 'fluentd'], lines)

    def binlog_reader(self):
        with tempfile.TemporaryDirectory() as directory:
            port, nobody = free_port(), free_port()
            config = TO_NOBODY.format(port=port, nobody=nobody, dir=directory)
            with Running(self.programs, 'fluentd', config, directory, port) as there:
                args = ['-h', HOST, '-p', str(port), '--event-time', '2024-01-02T03:04:05.25Z', 'cat.x']
                data = b''.join(b'{"n":%d,"s":"\xc3\xa9"}\n' % n for n in range(8))
                assert self.run('fluentd', 'cat', args, data).returncode == 0
                there.wait_for(lambda: glob.glob(directory + '/buffer/*.log'), 60, lambda: 'a chunk')
                there.stop()
            chunk, = glob.glob(directory + '/buffer/*.log')
            for args in READERS:
                theirs, ours = (self.run(whose, 'binlog-reader', args + [chunk]) for whose in ('fluentd', 'logweir'))
                self.expect('fluent-binlog-reader ' + ' '.join(args), (theirs.returncode, theirs.stdout), (ours.returncode, ours.stdout))

    def plugin_config_format(self):
        for plugin in PLUGINS:
            theirs, ours = (self.run(whose, 'plugin-config-format', ['--format=json'] + plugin.split()) for whose in ('fluentd', 'logweir'))
            theirs, ours = json.loads(theirs.stdout), json.loads(ours.stdout)
            name = list(ours)[-1]
            if name not in theirs:
                self.expect(f'{plugin}: class', [key for key in theirs if key != 'plugin_helpers'], name)
                continue
            self.compare(plugin, theirs[name], ours[name])

    def compare(self, plugin, theirs, ours):
        for name, there in theirs.items():
            if not isinstance(there, dict) or name.startswith('@'):
                continue
            here = ours.get(name)
            what = f'{plugin}: {name}'
            if here is None:
                self.expect(what, 'declared', 'not declared')
            elif there.get('section'):
                self.compare(what, there, here)
            elif 'type' in there:
                facts = [{key: about.get(key) for key in ('type', 'required')} for about in (there, here)]
                self.expect(what, *facts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--logweir', default='target/release/logweir')
    parser.add_argument('--fluentd', default='fluentd')
    parser.add_argument('--scripts', default='')
    tools = Tools(parser.parse_args())
    for part in (tools.cat, tools.binlog_reader, tools.plugin_config_format):
        part()
    print(f'{len(tools.problems)} differences')
    return 1 if tools.problems else 0


if __name__ == '__main__':
    sys.exit(main())
