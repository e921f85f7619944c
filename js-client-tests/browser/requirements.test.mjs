// What applications require of authentication and authorization, with the client in headless Chromium.
import { nothingLogged, requirements } from '../requirements.mjs';
import { PageWorld } from './page-world.mjs';

requirements(PageWorld);
nothingLogged();
