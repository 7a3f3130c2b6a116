/** The page: connects the socket, the shell and the view that is shown. */

import { byId } from "./lib/dom.js";
import { PreviewSocket } from "./net/preview-socket.js";
import * as service from "./net/service.js";
import { BoardMap } from "./shell/board-map.js";
import { DroppedFiles } from "./shell/dropped-files.js";
import { Notices } from "./shell/notices.js";
import { Router } from "./shell/router.js";
import { Status } from "./shell/status.js";
import { followTheme } from "./shell/theme.js";
import { TokenField } from "./shell/token-field.js";

const notices = new Notices();
const status = new Status(notices);
const map = new BoardMap();
const files = new DroppedFiles(() => { location.hash = "#/map"; });
const socket = new PreviewSocket({
  state(state) {
    token.hide();
    status.follow(state);
    map.follow(state);
    router.follow(state);
  },
  lost: () => status.offline(),
  denied() {
    status.enter("denied");
    token.ask();
  },
});
const token = new TokenField(() => socket.connect());

followTheme(byId("theme"), () => router.redraw());
const router = new Router(byId("views"), byId("nav"), { service, socket, map, notices, status, files });
socket.connect();
