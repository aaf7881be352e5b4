// npm's fluent-logger: OPTIONS (of createFluentSender, as JSON) TAG COUNT. Sends COUNT records and ends with 0 once each of
// them was acknowledged (or, without requireAckResponse, written to the socket).
'use strict';
const logger = require('fluent-logger');

const [options, tag, count] = [JSON.parse(process.argv[2]), process.argv[3], Number(process.argv[4])];
const sender = logger.createFluentSender(tag, { ...options, reconnectInterval: 600000, timeout: 30000 });
const fail = (error) => {
  console.error(error);
  process.exit(1);
};
sender.on('error', fail);
let done = 0;
for (let n = 0; n < count; n++) {
  sender.emit('node', { n, nested: { list: [1, 2.5, null, true] }, text: 'grün' }, (error) => {
    if (error) fail(error);
    done += 1;
    if (done === count) sender.end(null, null, () => process.exit(0));
  });
}
