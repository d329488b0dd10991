// Answers every request with a line of text.
require("node:http")
  .createServer((request, response) => response.end("hello from node\n"))
  .listen(3000);
