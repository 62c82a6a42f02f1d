// Installs the parts of `web.js` before the module of the author is loaded.

import { install } from "./web.js";

install();
