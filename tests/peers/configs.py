"""Configurations of the checks. `@DIR@` is the check's directory."""
import os
import re

from programs import HOST

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../README.md')


def filled(text, directory):
    return text.replace('@DIR@', directory)


def indent(text, spaces):
    return ''.join(' ' * spaces + line + '\n' for line in text.strip().splitlines())


# Fluentd's language, which is Logweir's too.


def from_forward(directory, port, sections):
    return filled(f'<source>\n  @type forward\n  port {port}\n  bind {HOST}\n{indent(sections, 2)}</source>\n', directory)


def fluentd_from_tail(directory, match):
    source = ('<source>\n  @type tail\n  path @DIR@/in/*.log\n  pos_file @DIR@/pos\n  tag app.lines\n  read_from_head true\n'
              '  refresh_interval 1s\n  <parse>\n    @type json\n  </parse>\n</source>\n')
    return filled(source, directory) + match


def to_forward(directory, port, parameters, buffer='@type file\npath @DIR@/sending\nflush_mode interval\nflush_interval 1s'):
    """A match section; lines that begin with SERVER go into its server section."""
    lines = parameters.splitlines()
    server = '\n'.join(line.removeprefix('SERVER ') for line in lines if line.startswith('SERVER '))
    rest = '\n'.join(line for line in lines if not line.startswith('SERVER '))
    return filled(
        f'<match app.**>\n  @type forward\n{indent(rest, 2)}  <server>\n    host {HOST}\n    port {port}\n{indent(server, 4)}  </server>\n'
        f'  <buffer>\n{indent(buffer, 4)}  </buffer>\n</match>\n', directory)


def fluentd_to_file(directory, source, buffer='@type file\npath @DIR@/buffer\nflush_mode interval\nflush_interval 1s'):
    return source + filled(
        '<match app.**>\n  @type file\n  path @DIR@/out\n  append true\n  <format>\n    @type json\n  </format>\n'
        f'  <buffer>\n{indent(buffer, 4)}  </buffer>\n</match>\n', directory)


# Fluent Bit's.

SERVICE = '[SERVICE]\n    Flush         1\n    Grace         5\n    Parsers_File  @DIR@/parsers.conf\n'
PARSERS = '[PARSER]\n    Name    json\n    Format  json\n'


def fluent_bit_from_tail(directory, port, parameters, output=None):
    with open(os.path.join(directory, 'parsers.conf'), 'w', encoding='utf-8') as file:
        file.write(PARSERS)
    source = ('[INPUT]\n    Name              tail\n    Path              @DIR@/in/*.log\n    DB                @DIR@/pos.db\n'
              '    Tag               app.lines\n    Parser            json\n    Read_from_Head    true\n    Refresh_Interval  1\n')
    if output is None:
        output = f'[OUTPUT]\n    Name   forward\n    Match  *\n    Host   {HOST}\n    Port   {port}\n{indent(parameters, 4)}'
    return filled(SERVICE + source + output, directory)


def fluent_bit_to_file(directory, port, parameters):
    with open(os.path.join(directory, 'parsers.conf'), 'w', encoding='utf-8') as file:
        file.write(PARSERS)
    source = f'[INPUT]\n    Name    forward\n    Listen  {HOST}\n    Port    {port}\n{indent(parameters, 4)}'
    output = '[OUTPUT]\n    Name    file\n    Match   app.*\n    Path    @DIR@\n    File    out.log\n    Format  plain\n'
    return filled(SERVICE + source + output, directory)


def readme_output(port):
    """The README's section for Fluent Bit, with the port of this check."""
    with open(README, encoding='utf-8') as file:
        text = file.read()
    section = re.search(r'### From Fluent Bit\n\n((?:    .*\n)+)', text).group(1)
    return re.sub(r'(?m)^    ', '', section).replace('24224', str(port))
