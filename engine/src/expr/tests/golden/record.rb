# Evaluates each line of the files given (or of standard input) with Ruby as Fluentd's record_transformer does, and
# prints the line with its value or its exception:
#
#     record["a"]
#     => 1
#     record["x"].upcase
#     !! NoMethodError: undefined method `upcase' for nil:NilClass
#
# The golden files were recorded with Ruby 3.1 and TZ=UTC:  ruby record.rb NAME.cases > NAME.golden
require 'json'
require 'time'
require 'date'
require 'socket'
require 'uri'
require 'cgi'
require 'ipaddr'
require 'digest'
require 'base64'
require 'securerandom'
require 'zlib'

RECORD = JSON.parse(File.read(File.join(__dir__, 'record.json')))
ENV.replace('HOME' => '/home/weir', 'STAGE' => 'blue', 'COUNT' => '21')

class CleanroomExpander
  def expand(__str_to_eval__, tag, time, record, tag_parts, tag_prefix, tag_suffix, hostname)
    instance_eval(__str_to_eval__)
  end

  (Object.instance_methods).each do |m|
    undef_method m unless /^__|respond_to_missing\?|object_id|public_methods|instance_eval|method_missing|define_singleton_method|respond_to\?|new_ostruct_member|^class$/.match?(m.to_s)
  end
end

def answer(code)
  record = Marshal.load(Marshal.dump(RECORD))
  value = CleanroomExpander.new.expand(code, 'app.web.prod', Time.at(1704164645, 123456, :nsec), record,
    %w[app web prod], %w[app app.web app.web.prod], %w[app.web.prod web.prod prod], 'weir')
  "=> #{value.inspect}"
rescue SystemExit, NoMemoryError, Interrupt
  raise
rescue Exception => e
  # One line; the json library puts a line number of its own source in front.
  "!! #{e.class}: #{e.message.lines.first.to_s.chomp.sub(/\A\d+: /, '').sub(/#<(CleanroomExpander):0x\h+>/, "#<Fluent::Plugin::RecordTransformerFilter::RubyPlaceholderExpander::\\1>")}"
end

$stderr.reopen(File::NULL)
ARGF.each_line do |line|
  line = line.chomp
  next puts(line) if line.empty? || line.start_with?('# ')
  puts line, answer(line)
end
