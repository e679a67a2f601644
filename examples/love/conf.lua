-- SPDX-License-Identifier: MIT
-- luacheck: globals love
function love.conf(t)
  t.identity = "rille-example"
  t.window.title = "rille"
  if os.getenv "HEADLESS" then -- for tests: without a display
    for _, module in ipairs { "window", "graphics", "audio", "joystick", "sound" } do t.modules[module] = false end
  end
end
