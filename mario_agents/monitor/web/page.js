// Runs before textual.js looks for its terminal. The address is that of the page, whatever name,
// tunnel or proxy has led to it; textual.js appends the size.
const socket = new URL("ws", document.baseURI);
socket.protocol = socket.protocol.replace("http", "ws");
socket.search = "";
document.querySelector("#terminal").dataset.sessionWebsocketUrl = socket.href;
document.querySelector("#again").addEventListener("click", () => location.reload());
// The terminal measures its letters when it is made, so that the font has to be there by then.
document.fonts.load('14px "Roboto Mono"');
